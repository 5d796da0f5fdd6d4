package imagefetch

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"testing"
)

// picture has four quarters of their own colour, with noise on them, so that it compresses badly. The noise is blocks of
// so many pixels, as wide and high; a coarse one survives when the picture is made smaller.
func picture(w, h, block int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	random := rand.New(rand.NewPCG(1, 2))
	row := make([]uint32, w/block+1)
	for y := range h {
		if y%block == 0 {
			for i := range row {
				row[i] = random.Uint32()
			}
		}
		pixels := m.Pix[m.PixOffset(0, y):]
		for x := range w {
			noise := row[x/block]
			for c, base := range quarters[y*2/h][x*2/w] {
				pixels[4*x+c] = base - 32 + uint8(noise>>(8*c))%64
			}
			pixels[4*x+3] = 255
		}
	}
	return m
}

var quarters = [2][2][3]uint8{{{200, 60, 60}, {60, 200, 60}}, {{60, 60, 200}, {200, 200, 60}}}

// looksLike checks that the quarters of an image have their colours.
func looksLike(t *testing.T, m image.Image) {
	t.Helper()
	b := m.Bounds()
	for qy := range 2 {
		for qx := range 2 {
			var sum [3]float64
			const samples = 32
			for i := range samples * samples {
				x := b.Min.X + (qx*samples+i%samples)*b.Dx()/(2*samples)
				y := b.Min.Y + (qy*samples+i/samples)*b.Dy()/(2*samples)
				r, g, bl, _ := m.At(x, y).RGBA()
				for c, v := range []uint32{r, g, bl} {
					sum[c] += float64(v>>8) / (samples * samples)
				}
			}
			for c := range 3 {
				if want := float64(quarters[qy][qx][c]); math.Abs(sum[c]-want) > 12 {
					t.Errorf("quarter %d, %d, colour %d: %.0f, want %.0f", qx, qy, c, sum[c], want)
				}
			}
		}
	}
}

func encoded(t *testing.T, encode func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// noise is a PNG file that is larger than its pixels.
func noise(t *testing.T, w, h int) []byte {
	return encoded(t, func(b io.Writer) error { return png.Encode(b, picture(w, h, 1)) })
}

// little is a goal that small images are over, so that the tests are fast.
var little = goal{bytes: 40_000, side: 256}

func TestShrink(t *testing.T) {
	halfClear := picture(250, 240, 1)
	for i := 3; i < len(halfClear.Pix)/2; i += 4 {
		halfClear.Pix[i] = 0
	}
	deep := image.NewNRGBA64(image.Rect(0, 0, 130, 130))
	draw.Draw(deep, deep.Bounds(), picture(130, 130, 1), image.Point{}, draw.Src)
	// Finding the nearest of 256 colours for each pixel would take long.
	paletted := image.NewPaletted(image.Rect(0, 0, 200, 220), palette.Plan9)
	copy(paletted.Pix, picture(200, 55, 1).Pix)
	uncompressed := func(m image.Image) []byte {
		return encoded(t, func(w io.Writer) error { return (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(w, m) })
	}
	for _, tt := range []struct {
		name          string
		file          []byte
		width, height int // of the result; 0 is whatever fits
		mime          string
		plain         bool // its colours are those of picture
	}{
		{"a photo", encoded(t, func(w io.Writer) error { return jpeg.Encode(w, picture(1000, 300, 4), nil) }), 256, 76, "image/jpeg", true},
		{"a photo of moderate size", encoded(t, func(w io.Writer) error { return jpeg.Encode(w, picture(250, 200, 1), &jpeg.Options{Quality: 98}) }), 0, 0, "image/jpeg", true},
		{"a large drawing", uncompressed(picture(80, 640, 5)), 32, 256, "image/png", true},
		{"a PNG of noise", noise(t, 200, 150), 200, 150, "image/jpeg", true},
		{"a PNG with clear parts", encoded(t, func(w io.Writer) error { return png.Encode(w, halfClear) }), 250, 240, "image/jpeg", false},
		{"a deep PNG", encoded(t, func(w io.Writer) error { return png.Encode(w, deep) }), 130, 130, "", true},
		{"a GIF", encoded(t, func(w io.Writer) error { return gif.Encode(w, paletted, nil) }), 200, 220, "image/jpeg", false},
		{"a thread", uncompressed(picture(20_000, 1, 1)), 256, 1, "image/png", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if len(tt.file) <= little.bytes {
				t.Fatalf("the file has only %d bytes", len(tt.file))
			}
			h, err := readHeader(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			mime, smaller, err := shrink(tt.file, h, little)
			if err != nil || len(smaller) > little.bytes || tt.mime != "" && mime != tt.mime {
				t.Fatalf("%s, %d bytes, %v", mime, len(smaller), err)
			}
			m, format, err := image.Decode(bytes.NewReader(smaller))
			if err != nil || "image/"+format != mime {
				t.Fatalf("%s, said to be %s: %v", format, mime, err)
			}
			if b := m.Bounds(); max(b.Dx(), b.Dy()) > little.side || tt.width > 0 && b != image.Rect(0, 0, tt.width, tt.height) {
				t.Errorf("the result is %v", b)
			}
			if tt.plain {
				looksLike(t, m)
			}
		})
	}
}

// What is clear becomes white where the format has no transparency, not black: drawings are black on clear.
func TestWhatIsClearBecomesWhite(t *testing.T) {
	plain := onWhite(image.NewRGBA(image.Rect(0, 0, 2, 2)))
	if got := plain.RGBAAt(1, 1); got != (color.RGBA{255, 255, 255, 255}) {
		t.Errorf("%v", got)
	}
}

// segment is one of a JPEG file.
func segment(marker byte, content string) []byte {
	s := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(2+len(content)))
	return append(s, content...)
}

// Phones write pictures as the sensor lies and say beside them which side is up.
func TestWhichSideIsUpIsKept(t *testing.T) {
	plain := encoded(t, func(w io.Writer) error { return jpeg.Encode(w, picture(4000, 1200, 2), nil) })
	exif := segment(markerApp1, exifIntro+"which side is up")
	file := bytes.Join([][]byte{plain[:2], segment(0xe0, "JFIF"), segment(markerApp1, "http://ns.adobe.com/xap/1.0/"), exif, plain[2:]}, nil)
	h, err := readHeader(file)
	if err != nil {
		t.Fatal(err)
	}
	_, smaller, err := shrink(file, h, little)
	if err != nil || !bytes.HasPrefix(smaller[2:], exif) || len(smaller) > little.bytes {
		t.Fatalf("%d bytes, %v", len(smaller), err)
	}
	if _, err := jpeg.Decode(bytes.NewReader(smaller)); err != nil {
		t.Error(err)
	}
}

func TestWhatDecodingTakes(t *testing.T) {
	small := image.NewNRGBA(image.Rect(0, 0, 10, 10))
	baseline := encoded(t, func(w io.Writer) error { return jpeg.Encode(w, small, nil) })
	progressive := bytes.Replace(baseline, []byte{0xff, 0xc0}, []byte{0xff, markerSOF2}, 1)
	for name, tt := range map[string]struct {
		file []byte
		want int64
	}{
		"jpeg":        {baseline, 400},
		"progressive": {progressive, 1600},
		"png":         {encoded(t, func(w io.Writer) error { return png.Encode(w, small) }), 500},
		"deep":        {encoded(t, func(w io.Writer) error { return png.Encode(w, image.NewNRGBA64(small.Rect)) }), 900},
	} {
		if h, err := readHeader(tt.file); err != nil || h.memory != tt.want {
			t.Errorf("%s: %d bytes, want %d: %v", name, h.memory, tt.want, err)
		}
	}
}

// FuzzShrink feeds files of any content, of few pixels.
func FuzzShrink(f *testing.F) {
	small := picture(8, 8, 1)
	var seeds [3]bytes.Buffer
	for i, err := range []error{png.Encode(&seeds[0], small), jpeg.Encode(&seeds[1], small, nil), gif.Encode(&seeds[2], small, nil)} {
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seeds[i].Bytes())
	}
	f.Add([]byte("\xff\xd8\xff\xff\xe1\x00\x08Exif\x00\x00\xff\xc2\x00\x02"))
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, segment := range segments(file) {
			if len(segment) < segmentOverhead {
				t.Errorf("a segment of %d bytes", len(segment))
			}
		}
		h, err := readHeader(file)
		if err != nil || h.memory > 1<<20 {
			return
		}
		mime, smaller, err := shrink(file, h, little)
		if err == nil && (mime == "" || len(smaller) == 0 || len(smaller) > little.bytes) {
			t.Errorf("%s, %d bytes", mime, len(smaller))
		}
	})
}
