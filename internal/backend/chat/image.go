package chat

import (
	"bytes"
	stdimage "image"
	_ "image/gif"  // so that stdimage.DecodeConfig knows it
	_ "image/jpeg" // the same
	_ "image/png"  // the same

	"composer-api/internal/agent"

	_ "golang.org/x/image/webp" // the same
)

// An image is what the request has about one.
type image struct {
	data          []byte // as the client sent it, in any of the formats that measure reads
	width, height int    // in pixels
	id            string // a UUID
}

// measure finds the size in pixels that the endpoint wants to know. Only the header of an image is decoded, so
// a small file with huge dimensions costs nothing. An image in another format is the client's mistake,
// agent.InvalidValue.
//
// The order of the result is that of images, which the prompt's marks refer to.
func measure(images []*agent.Image) ([]image, error) {
	measured := make([]image, len(images))
	for i, img := range images {
		config, _, err := stdimage.DecodeConfig(bytes.NewReader(img.Data))
		if err != nil {
			return nil, &agent.Error{Code: agent.InvalidValue, Param: "messages", Err: err,
				Message: "An image can't be read. Send it as PNG, JPEG, GIF or WebP."}
		}
		measured[i] = image{data: img.Data, width: config.Width, height: config.Height, id: agent.NewUUID()}
	}
	return measured, nil
}

// encode encodes the image's message. Source of the fields: the chat endpoint's description.
//
//	{1: bytes, 2: {1: width, 2: height}, 3: uuid}
func (i *image) encode() wire {
	var size wire
	size.num(1, uint64(i.width))
	size.num(2, uint64(i.height))
	var w wire
	w.bytes(1, i.data)
	w.msg(2, size)
	w.str(3, i.id)
	return w
}
