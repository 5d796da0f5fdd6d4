package chat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	stdimage "image"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/golden"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

// The request, field by field, beside the description of the endpoint.
func TestRequestOnTheWire(t *testing.T) {
	got := dump(encodeRequest(&request{
		text: "Hello", images: []image{{data: []byte("PNG"), width: 4, height: 3, id: "image-id"}},
		model: "composer-2.5", mode: agentMode, conversationID: "conversation-id", messageID: "message-id",
		now: time.Date(2026, 11, 23, 20, 15, 0, 0, time.FixedZone("", 3600)),
	}), "", []string{"1", "1.1", "1.1.10", "1.1.10.2", "1.5", "1.15", "1.15.6", "1.26", "1.30"})
	got = strings.NewReplacer(`"`+runtime.GOOS+`"`, `"OS"`, `"`+runtime.GOARCH+`"`, `"ARCH"`).Replace(got)
	golden.File(t, "testdata/request.txt", got)
}

// dump writes a message one field a line; messages names the fields that hold messages.
func dump(m []byte, path string, messages []string) string {
	var b strings.Builder
	for len(m) > 0 {
		field, kind, n := protowire.ConsumeTag(m)
		m = m[n:]
		at := strings.TrimPrefix(fmt.Sprintf("%s.%d", path, field), ".")
		indent := strings.Repeat("  ", strings.Count(at, "."))
		switch kind {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(m)
			m = m[n:]
			fmt.Fprintf(&b, "%s%d: %d\n", indent, field, v)
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(m)
			m = m[n:]
			if strings.Contains(" "+strings.Join(messages, " ")+" ", " "+at+" ") {
				fmt.Fprintf(&b, "%s%d: {\n%s%s}\n", indent, field, dump(v, at, messages), indent)
			} else {
				fmt.Fprintf(&b, "%s%d: %q\n", indent, field, v)
			}
		default:
			fmt.Fprintf(&b, "%s%d: wire type %d\n", indent, field, kind)
			return b.String()
		}
	}
	return b.String()
}

func TestConversationID(t *testing.T) {
	id := func(owner, session, given string) string {
		return conversationID(&agent.Request{Caller: agent.Caller{Owner: owner}, Session: session, ConversationID: given})
	}
	if a, b := id("o", "s", ""), id("o", "s", ""); a != b {
		t.Errorf("one session has the ids %s and %s", a, b)
	}
	const chosen = "052a1305-02be-4e68-b814-4f6a876cc0c1"
	if got := id("o", "s", "agent-"+chosen); got != chosen {
		t.Errorf("the gateway's id became %s", got)
	}
	seen := map[string]string{}
	for _, who := range [][2]string{{"o", "s"}, {"p", "s"}, {"o", "t"}, {"os", ""}, {"", "os"}, {"o", ""}} {
		got := id(who[0], who[1], "")
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %s share an id", who, other)
		}
		seen[got] = fmt.Sprint(who)
		if len(got) != 36 {
			t.Errorf("%s is no UUID", got)
		}
	}
	if a, b := id("o", "", ""), id("o", "", ""); a == b {
		t.Error("without a session every conversation is a new one")
	}
}

func TestModelName(t *testing.T) {
	for want, m := range map[string]agent.Model{
		"composer-2.5":      {ID: "composer-2.5", Params: []agent.Param{{ID: "fast", Value: "false"}}},
		"composer-2.5-fast": {ID: "composer-2.5", Params: []agent.Param{{ID: "fast", Value: "true"}}},
		"composer-2":        {ID: "composer-2"},
	} {
		if got := modelName(m); got != want {
			t.Errorf("%v is called %s, want %s", m, got, want)
		}
	}
}

func TestImagesAreMeasured(t *testing.T) {
	pixels := stdimage.NewPaletted(stdimage.Rect(0, 0, 7, 5), palette.Plan9)
	encoded := func(encode func(*bytes.Buffer) error) *agent.Image {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			t.Fatal(err)
		}
		return &agent.Image{Data: b.Bytes()}
	}
	images := []*agent.Image{
		encoded(func(b *bytes.Buffer) error { return png.Encode(b, pixels) }),
		encoded(func(b *bytes.Buffer) error { return jpeg.Encode(b, pixels, nil) }),
		encoded(func(b *bytes.Buffer) error { return gif.Encode(b, pixels, nil) }),
		{Data: webp(7, 5)},
	}
	measured, err := measure(images)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range measured {
		if m.width != 7 || m.height != 5 || len(m.id) != 36 || !bytes.Equal(m.data, images[i].Data) {
			t.Errorf("image %d: %d × %d, id %q", i+1, m.width, m.height, m.id)
		}
	}
	_, err = measure([]*agent.Image{{Data: []byte("<svg/>")}})
	if agent.CodeOf(err) != agent.InvalidValue || agent.AsError(err).Param == "" {
		t.Errorf("what is no image gives %v", err)
	}
}

// webp is the beginning of a lossless WebP image.
func webp(width, height uint32) []byte {
	bits := width - 1 | (height-1)<<14
	chunk := binary.LittleEndian.AppendUint32([]byte{0x2f}, bits)
	chunk = append(chunk, make([]byte, 7)...)
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+8+len(chunk)))
	b = append(b, "WEBPVP8L"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(chunk)))
	return append(b, chunk...)
}

func TestParseHeaders(t *testing.T) {
	h, err := ParseHeaders("x-a: 1\n\n  X-B:two: three \r\nx-a: 2")
	if diff := cmp.Diff(http.Header{"X-A": {"1", "2"}, "X-B": {"two: three"}}, h); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for _, bad := range []string{"no colon", ": no name", "bad name: x", "x: a\x00secret"} {
		if _, err := ParseHeaders("fine: yes\n" + bad); err == nil || !strings.Contains(err.Error(), "Line 2") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q gives %v", bad, err)
		}
	}
}
