package agent

import "slices"

// An Image comes as bytes or, until it is fetched, as a URL. A backend sees bytes only. Data is
// shared by copies of the message and must not be changed.
type Image struct {
	MIME string // "image/png"; "" while only the URL is known
	// Data is nil until the image was fetched.
	Data []byte
	URL  string // http or https; "" when the image came inline
	// Param names the request field that the image came in, for errors: "messages[2].content[1].image_url.url".
	Param string
	// Original is the SHA-256 of the bytes that the client sent, when Data has been made smaller since; nil otherwise.
	Original []byte
	// Fault says why the image can't be used; nil while nothing speaks against it. See [UnusableImage].
	Fault *Error
}

const (
	// MaxImageBytes bounds an image as backends get it. Larger ones are made smaller.
	MaxImageBytes = 1 << 20
	// MaxOriginalBytes bounds an image as clients may send it.
	MaxOriginalBytes = 20 << 20
)

// UnusableImage is the fault of the first image that can't be used and that the user has sent just now, after the model
// last spoke; nil when there is none. Only such a fault is an error for the client, who can send another image. Clients
// send an older one again with every request, and the result of a tool is nothing that the user chose: for those the
// model gets a note, see [WithoutUnusable].
func UnusableImage(messages []Message) error {
	for i := FirstNew(messages); i < len(messages); i++ {
		for _, p := range messages[i].Parts {
			if p.Image != nil && p.Image.Fault != nil {
				return p.Image.Fault
			}
		}
	}
	return nil
}

// WithoutUnusable is messages with a note for the model in the place of each image that can't
// be used. messages itself is not changed. It is messages itself when there is none.
func WithoutUnusable(messages []Message) []Message {
	copied := false
	for i := range messages {
		if !slices.ContainsFunc(messages[i].Parts, unusable) {
			continue
		}
		if !copied {
			messages, copied = slices.Clone(messages), true
		}
		m := &messages[i]
		m.Parts = slices.Clone(m.Parts)
		for j := range m.Parts {
			if p := &m.Parts[j]; unusable(*p) {
				*p = Part{Text: "[There was an image here. " + p.Image.Fault.UserMessage() + "]"}
			}
		}
	}
	return messages
}

func unusable(p Part) bool { return p.Image != nil && p.Image.Fault != nil }
