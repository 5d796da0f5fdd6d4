package responses

import (
	"cmp"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// content is the content of a message or a call's output: a list of parts. A plain string is one part, null is none, and
// anything else (a tool's result that isn't text as it should be) becomes the text of its JSON.
//
//	"hi"                                          one part
//	[{"type": "input_text", "text": "hi"}, …]     its parts
//	{"exit_code": 0}                              one part: {"exit_code": 0} as text
type content []wirePart

// A wirePart is a part of content. In a list a plain string is a part, too.
type wirePart struct {
	partFields
	span openai.Span    // where it stands in the item's own bytes, once they were cut
	raw  jsontext.Value // as it was sent; nil for a part that was a plain text
}

// partFields are the members of a part, of any type.
type partFields struct {
	// Which of the others is used depends on Type.
	Type     string                    `json:"type"`
	Text     string                    `json:"text"`
	Refusal  string                    `json:"refusal"`
	ImageURL openai.StringOr[imageURL] `json:"image_url"`
	openai.FileInput
	// File is the form of a file in chat completions, which UnmarshalJSONFrom brings into that of this API; nil afterwards.
	File *openai.FileInput `json:"file"`
}

// imageURL is the form of an image's address in chat completions. The Responses API has a string there, but clients that
// convert from one to the other send this: {"type": "input_image", "image_url": {"url": "…"}}.
type imageURL struct {
	URL string `json:"url"`
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. See content for the forms.
func (c *content) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	switch d.PeekKind() {
	case '[':
		return json.UnmarshalDecode(d, (*[]wirePart)(c))
	case '"':
		*c = content{{}}
		return json.UnmarshalDecode(d, &(*c)[0].Text)
	}
	// Numbers, objects and booleans: a tool of the client's has put its result there without making
	// it a string.
	raw, err := d.ReadValue()
	if err != nil {
		return err
	}
	*c = nil
	if raw.Kind() != 'n' {
		*c = content{textPart(string(raw))}
	}
	return nil
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. It notes where the part stands, for cut; null is an empty text.
func (p *wirePart) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*p = wirePart{}
	switch d.PeekKind() {
	case 'n':
		return d.SkipValue()
	case '"':
		return json.UnmarshalDecode(d, &p.Text)
	}
	// InputOffset is where the value ends that was read last, so blanks and a comma may lie before
	// the part; Span.Cut trims them.
	p.span.Start = d.InputOffset()
	if err := json.UnmarshalDecode(d, &p.partFields); err != nil {
		return err
	}
	p.span.End = d.InputOffset()
	if p.File != nil {
		p.FileInput, p.File = *p.File, nil
	}
	return nil
}

// cut sets each part's raw by cutting it out of the data that the parts were decoded from. It must be the same data: spans are
// offsets in it. From then on they are offsets in their item, which begins at start.
func (c content) cut(data []byte, start int64) {
	for i := range c {
		p := &c[i]
		if p.raw = p.span.Cut(data); p.raw != nil {
			p.span = openai.Span{Start: p.span.End - int64(len(p.raw)) - start, End: p.span.End - start}
		}
	}
}

// textPart is a part that was sent as a plain string.
func textPart(text string) wirePart { return wirePart{partFields: partFields{Text: text}} }

// partEcho is such a part in the API's form.
type partEcho struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// echo is the content of a message as a list of parts, as the API shows it. Parts that came as
// objects are repeated as they were sent, with members that we don't know.
func (c content) echo(role string) jsontext.Value {
	kind := "input_text"
	if role == "assistant" {
		kind = "output_text"
	}
	list := make([]jsontext.Value, len(c))
	for i := range c {
		list[i] = c[i].raw
		if list[i] == nil {
			// A part without JSON of its own was a plain string.
			list[i] = openai.Encode(partEcho{kind, c[i].Text})
		}
	}
	return openai.Encode(list)
}

// parts is the content for the model; param is its path in the request.
func (c content) parts(param string) ([]agent.Part, error) {
	if len(c) == 0 {
		return nil, nil
	}
	parts := make([]agent.Part, 0, len(c))
	for i := range c {
		part, err := c[i].part(param + "[" + strconv.Itoa(i) + "]")
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// part is one part for the model. Errors are *agent.Error: UnsupportedValue for files and audio, InvalidValue for a type that
// doesn't exist. A part without a type is text. An image never gives an error here, see image.
//
// Text of every type is text for the model, also where the API would not allow it: clients mix
// the types up.
func (p *wirePart) part(param string) (agent.Part, error) {
	switch p.Type {
	case "input_text", "output_text", "text", "summary_text", "reasoning_text", "":
		return agent.Part{Text: p.Text}, nil
	case "refusal":
		return agent.Part{Text: p.Refusal}, nil
	case "input_image", "image_url":
		return p.image(param), nil
	case "input_file", "file":
		return p.FileInput.Part(param + ".file_data"), nil
	case "input_audio":
		return agent.Part{}, agent.ParamError(agent.UnsupportedValue, param+".type", "Content of type '%s' is not supported. Send text, images or files.", p.Type)
	}
	return agent.Part{}, openai.OneOf(param+".type", p.Type, "input_text", "input_image", "input_file", "output_text", "refusal")
}

// image is an image part. What is wrong with it is noted as its Fault: whether that refuses the request depends on where
// the image stands. Files that were uploaded can't be used, because there is no route to upload them. param is the part's path.
func (p *wirePart) image(param string) agent.Part {
	url := cmp.Or(p.ImageURL.String, p.ImageURL.Other.URL)
	if url == "" && p.FileID != "" {
		param += ".file_id"
		return agent.Part{Image: &agent.Image{Param: param, Fault: agent.ParamError(agent.UnsupportedValue, param,
			"Files can't be uploaded here: send the image as a data URL or an https URL ('image_url').")}}
	}
	return agent.Part{Image: openai.Image(url, param+".image_url")}
}

// textOf is the text of a JSON string, "" for null, and the JSON of anything else.
func textOf(raw jsontext.Value) string {
	switch raw.Kind() {
	case 'n', 0:
		return ""
	case '"':
		var s string
		if json.Unmarshal(raw, &s, openai.Liberal) == nil {
			return s
		}
	}
	return string(raw)
}
