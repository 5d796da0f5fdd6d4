package imagefetch

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/draw"
	_ "image/gif" // so that image.Decode knows it
	"image/jpeg"
	"image/png"
	"io"
	"slices"

	xdraw "golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // so that image.Decode knows it

	"composer-api/internal/agent"
)

// Making an image smaller so that upstream takes it. Upstream has a bound for the bytes of an image
// (agent.MaxImageBytes); clients send screenshots and photos that are larger. Decoding needs much
// memory, so what it will take is computed from the header first (readHeader) and reserved at a gate.

// maxPixels bounds an image that is made smaller. Its error says "50 megapixels"; keep the two the same.
const maxPixels = 50_000_000

// A goal is what an image that is made smaller may have.
type goal struct {
	// bytes are those of the image as it is sent, not of its pixels.
	bytes int
	side  int // pixels in width and height
}

// upstreamTakes is the goal. Models scale larger images down to about as many pixels themselves.
var upstreamTakes = goal{bytes: agent.MaxImageBytes, side: 2048}

// minSide is where no further attempt is made: an image of so many pixels fits.
const minSide = 64

// A header is what is known of an image before it is decoded.
type header struct {
	format string // as package image names it
	// width and height are in pixels.
	width, height int
	memory        int64 // bytes that decoding takes and making it smaller, at most
}

// readHeader looks at an image without decoding it. Its memory is an upper estimate, from what Go's decoders allocate per pixel.
//
// It is what the gate of memory counts with, so an estimate that is too low would let the
// process run out of memory, and one that is too high only makes images wait longer.
func readHeader(data []byte) (header, error) {
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil || config.Width <= 0 || config.Height <= 0 {
		return header{}, cmp.Or(err, errors.New("it has no pixels"))
	}
	// RGBA and its like, the largest of the plain forms.
	perPixel := int64(4)
	switch {
	case format == "jpeg" && isProgressive(data):
		perPixel = 15 // the coefficients of three colours, 4 bytes each, and the colours
	case format == "jpeg" && config.ColorModel == color.YCbCrModel:
		perPixel = 3
	case format == "webp":
		perPixel = 8 // a lossless one is decoded in two steps
	case config.ColorModel == color.RGBA64Model || config.ColorModel == color.NRGBA64Model:
		perPixel = 8
	}
	// While it is halved for the first time, there is a quarter of it in RGBA beside it.
	return header{format, config.Width, config.Height, int64(config.Width) * int64(config.Height) * (perPixel + 1)}, nil
}

// shrink makes an image that has too many bytes smaller: in pixels, if it has many, and else by losing detail. It
// decodes data, which h is of, and returns the new file. Of a moving image the first frame stays. It tries, for one size after
// the other, each three quarters of the one before:
//
//  1. PNG, unless the image is a photo
//  2. JPEG of quality 85, then 70, on white, with the orientation that the file had
//
// The work is bounded: each size has three quarters of the side of the one before, from to.side
// down to minSide.
func shrink(data []byte, h header, to goal) (mime string, smaller []byte, err error) {
	source, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return "", nil, err
	}
	photo := h.format == "jpeg"
	// Twelve sizes at most, from 2048 down to 64.
	for side := to.side; side >= minSide; side = side * 3 / 4 {
		scaled := scale(source, side)
		source = scaled // what is made still smaller is made from this
		if !photo {
			// Drawings and screenshots stay sharp as PNG, and often fit.
			if smaller, ok := encode(to.bytes, func(w io.Writer) error { return png.Encode(w, scaled) }); ok {
				return "image/png", smaller, nil
			}
		}
		plain := onWhite(scaled)
		// Not the pixels are turned but the note is kept: turning would cost another image in
		// memory.
		exif := exifOf(data)
		for _, quality := range []int{85, 70} {
			if smaller, ok := encode(to.bytes-len(exif), func(w io.Writer) error { return jpeg.Encode(w, plain, &jpeg.Options{Quality: quality}) }); ok {
				return "image/jpeg", slices.Concat(smaller[:jpegStart], exif, smaller[jpegStart:]), nil
			}
		}
	}
	return "", nil, errors.New("it stays too large")
}

// scale is source in RGBA, with no side above side. It is halved as often as may be, so that
// each pixel of the result is the mean of those that it stands for: text stays readable. One
// step by a large factor would leave most pixels out.
func scale(source image.Image, side int) *image.RGBA {
	for {
		b := source.Bounds()
		w, h := b.Dx(), b.Dy()
		long := max(w, h)
		switch {
		// In halves, as long as at least a half is left to do.
		case long >= 2*side:
			w, h = max(w/2, 1), max(h/2, 1)
		case long > side:
			w, h = max(w*side/long, 1), max(h*side/long, 1)
		default:
			if rgba, ok := source.(*image.RGBA); ok {
				return rgba
			}
		}
		smaller := image.NewRGBA(image.Rect(0, 0, w, h))
		xdraw.ApproxBiLinear.Scale(smaller, smaller.Bounds(), source, b, draw.Src, nil)
		source = smaller
	}
}

// onWhite is the image without transparency, which JPEG has none of.
func onWhite(source *image.RGBA) *image.RGBA {
	if source.Opaque() {
		return source
	}
	plain := image.NewRGBA(source.Bounds())
	draw.Draw(plain, plain.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(plain, plain.Bounds(), source, source.Bounds().Min, draw.Over)
	return plain
}

// encode returns what write writes, if it is no more than limit. It stops an encoder that writes more; ok is false then.
func encode(limit int, write func(io.Writer) error) (file []byte, ok bool) {
	w := &limited{left: limit}
	if write(w) != nil {
		return nil, false
	}
	return w.buf.Bytes(), true
}

// limited is a buffer that takes no more than left bytes.
type limited struct {
	// buf has what was written; more than left is an error, so an encoder stops early.
	buf  bytes.Buffer
	left int
}

// Write implements io.Writer. Its error ends the encoder.
func (l *limited) Write(p []byte) (int, error) {
	// Encoders end at the first error, so most of a file that is too large is never made.
	if l.left -= len(p); l.left < 0 {
		return 0, io.ErrShortWrite
	}
	return l.buf.Write(p)
}

// A JPEG file is a row of segments: 0xff, a marker, and, but for the first, a length of two bytes that counts itself.
// Source: ITU-T T.81, annex B.
const (
	jpegStart       = 2    // bytes of the first segment
	markerSOF2      = 0xc2 // begins a progressive image
	markerScan      = 0xda // after it come the pixels
	markerApp1      = 0xe1
	exifIntro       = "Exif\x00\x00"
	segmentOverhead = 4 // bytes of marker and length
)

// segments yields the segments before the pixels, whole, with their markers.
//
// It is a range function (iter.Seq2). A file that is cut off or malformed ends the sequence;
// nothing is read beyond data.
func segments(data []byte) func(yield func(marker byte, segment []byte) bool) {
	return func(yield func(byte, []byte) bool) {
		rest := data[min(jpegStart, len(data)):]
		for len(rest) >= segmentOverhead && rest[0] == 0xff && rest[1] != markerScan {
			if rest[1] == 0xff { // a byte that fills up
				rest = rest[1:]
				continue
			}
			size := 2 + int(binary.BigEndian.Uint16(rest[2:]))
			if size < segmentOverhead || size > len(rest) || !yield(rest[1], rest[:size]) {
				return
			}
			rest = rest[size:]
		}
	}
}

// isProgressive reports whether a JPEG file is progressive: then all of its coefficients are in memory while it is decoded.
func isProgressive(data []byte) bool {
	for marker := range segments(data) {
		if marker == markerSOF2 {
			return true
		}
	}
	return false
}

// exifOf is the Exif segment of a JPEG file; nil when it has none, or is none. Phones say in it
// which side of a picture is up. Go's encoder writes none, so without this a photo taken
// upright would reach the model on its side.
func exifOf(file []byte) []byte {
	if !bytes.HasPrefix(file, []byte("\xff\xd8")) {
		return nil
	}
	for marker, segment := range segments(file) {
		if marker == markerApp1 && bytes.HasPrefix(segment[segmentOverhead:], []byte(exifIntro)) {
			return segment
		}
	}
	return nil
}
