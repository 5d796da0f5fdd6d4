package messages

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"strconv"
	"strings"
	"unsafe"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// content is what a message says or a tool gave: a list of blocks. A plain text is one block, null is none. Whatever
// else stands there (the results of Anthropic's own tools have objects) is one of a type that nothing else has: it is read from the
// block around it, or is a mistake.
//
//	"Read go.mod."                       one block without a type
//	[{"type": "text", "text": "…"}]      a block for each element
//	null                                 none
//	{…}, 7, true                         one block of the type noContent
type content []wireBlock

// noContent is the type of what is neither a text nor a list.
const noContent = "\x00"

// wrongContent is the error for content that is wrong, where nothing else may stand; param is its path.
func wrongContent(param string) *agent.Error {
	return agent.ParamError(agent.InvalidType, param, "Invalid type for '%s': expected a string or an array.", param)
}

// wrong reports whether the content is neither a text nor a list.
func (c content) wrong() bool { return len(c) == 1 && c[0].Type == noContent }

// wireBlock is a block of any type. Which fields matter depends on the type. Its span is where it stands in the body.
type wireBlock struct {
	blockFields
	// span is zero for the one block that a plain string stands for. Of a block that we know nothing better of than its JSON, the JSON
	// is cut out by it.
	span openai.Span
}

// blockFields are the members of a block, of any type:
//
//	{"type": "text", "text": "…"}
//	{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "…"}}
//	{"type": "document", "source": {"type": "text", "data": "…"}, "title": "…"}
//	{"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {…}}
//	{"type": "tool_result", "tool_use_id": "toolu_1", "content": "…", "is_error": false}
type blockFields struct {
	Type   string                      `json:"type"`
	Text   string                      `json:"text"`
	Source openai.StringOr[wireSource] `json:"source"` // image, document; that of a search_result is a string
	// Title and Context are a document's, for the model to read.
	Title     string         `json:"title"`
	Context   string         `json:"context"`
	ID        string         `json:"id"` // tool_use
	Name      string         `json:"name"`
	Input     jsontext.Value `json:"input"`
	ToolUseID string         `json:"tool_use_id"` // tool_result
	Content   content        `json:"content"`
	IsError   bool           `json:"is_error"`
	ToolName  string         `json:"tool_name"` // tool_reference
	Tool      jsontext.Value `json:"tool"`      // tool_addition, tool_removal
}

// wireSource is where an image or a document comes from.
type wireSource struct {
	// Type says which of the others counts: "base64", "url", "text", "content", "file".
	Type      string  `json:"type"`
	MediaType string  `json:"media_type"` // its type is checked; what the bytes begin like counts
	Data      string  `json:"data"`
	URL       string  `json:"url"`
	Content   content `json:"content"`
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. See content for the forms.
func (c *content) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*c = nil
	switch d.PeekKind() {
	case '[':
		return json.UnmarshalDecode(d, (*[]wireBlock)(c))
	case '"':
		*c = content{{}}
		return json.UnmarshalDecode(d, &(*c)[0].Text)
	case 'n':
	default:
		*c = content{{blockFields: blockFields{Type: noContent}}}
	}
	return d.SkipValue()
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. A null is a block without text; a plain text in a list is a text block.
func (b *wireBlock) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*b = wireBlock{}
	switch d.PeekKind() {
	case 'n':
		return d.SkipValue()
	case '"':
		return json.UnmarshalDecode(d, &b.Text)
	}
	b.span.Start = d.InputOffset()
	if err := json.UnmarshalDecode(d, &b.blockFields); err != nil {
		return err
	}
	b.span.End = d.InputOffset()
	return nil
}

// isRead are the types of blocks that stand for something else than their own JSON wherever they are; see block.
var isRead = map[string]bool{
	"": true, "text": true, "image": true, "document": true, "search_result": true, "tool_reference": true, "thinking": true, "redacted_thinking": true,
}

// size is what the blocks take besides their text, in bytes.
func (c content) size() int {
	size := len(c) * int(unsafe.Sizeof(wireBlock{}))
	for i := range c {
		size += c[i].Content.size() + c[i].Source.Other.Content.size()
	}
	return size
}

// isObject reports whether the block was sent as one, and not as a plain text or null.
func (b *wireBlock) isObject() bool { return b.span.End > 0 }

// parts appends the content of the blocks to list. param is their path. Errors are *agent.Error.
//
// list may be nil. What is in it is kept.
func (c *conversation) parts(list []agent.Part, blocks content, param string) ([]agent.Part, error) {
	for i := range blocks {
		var err error
		if list, err = c.block(list, &blocks[i], element(param, i)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// block appends the content of one block to list. Blocks that are calls or results mean something in messages only, which look
// at them before; here they are what any other unknown block is, their own JSON.
//
//	type                           becomes
//	text, or none                  its text
//	image                          an image
//	document                       its text and images in a tag
//	search_result                  its text in a tag
//	tool_reference                 a sentence, and the tool is offered
//	thinking, redacted_thinking    nothing
//	image_url, input_image         an image, as in OpenAI's APIs
//	container_upload               an error: the file is not here
//	anything else                  its JSON, but for what is encrypted
func (c *conversation) block(list []agent.Part, b *wireBlock, param string) ([]agent.Part, error) {
	switch b.Type {
	case "text":
		return appendText(list, b.Text), nil
	case "":
		if b.isObject() && b.Text == "" {
			return nil, openai.Missing(param + ".type")
		}
		return appendText(list, b.Text), nil
	case "image":
		image, err := b.image(param + ".source")
		return append(list, agent.Part{Image: image}), err
	case "document":
		return c.document(list, b, param+".source")
	case "search_result":
		list = append(list, agent.Part{Text: "<search_result" + attribute("title", b.Title) + attribute("source", b.Source.String) + ">\n"})
		for i := range b.Content {
			list = appendText(list, b.Content[i].Text)
		}
		return append(list, agent.Part{Text: "\n</search_result>\n"}), nil
	case "tool_reference":
		c.offered[b.ToolName] = true
		return append(list, agent.Part{Text: "The tool " + b.ToolName + " can be called now."}), nil
	case "thinking", "redacted_thinking":
		// Thinking was never part of the answer, and upstream has no place for it, whichever model it is of. Because it is not
		// looked at, a client that changes it or leaves it out keeps its parked run.
		return list, nil
	case "image_url", "input_image":
		image, err := c.openAIImage(b, param+".image_url")
		return append(list, agent.Part{Image: image}), err
	case "container_upload":
		return nil, noFiles(param + ".file_id")
	}
	return append(list, agent.Part{Text: readable(b.span.Cut(c.data))}), nil
}

// encrypted begins the names of members that only Anthropic's servers can read: encrypted_content, encrypted_index, …. A page that
// they have found brings kilobytes of it.
const encrypted = "encrypted_"

// readable is a value without such members. Source: Anthropic's reference of web search, web fetch and code execution results.
func readable(value []byte) string {
	if !bytes.Contains(value, []byte(encrypted)) {
		return string(value)
	}
	var out strings.Builder
	d, e := jsontext.NewDecoder(bytes.NewReader(value), openai.Liberal), jsontext.NewEncoder(&out, openai.Liberal)
	for {
		in, length := d.StackIndex(d.StackDepth())
		token, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return strings.TrimSuffix(out.String(), "\n")
		}
		isName := in == '{' && length%2 == 0 && token.Kind() == '"'
		switch {
		case err != nil:
		case isName && strings.HasPrefix(token.String(), encrypted):
			err = d.SkipValue()
		default:
			err = e.WriteToken(token)
		}
		if err != nil { // it was decoded before, so this is not expected
			return string(value)
		}
	}
}

// element is the path of an element of a list.
func element(param string, i int) string { return param + "[" + strconv.Itoa(i) + "]" }

// appendText appends text, if there is any.
func appendText(list []agent.Part, text string) []agent.Part {
	if text == "" {
		return list
	}
	return append(list, agent.Part{Text: text})
}

// image reads an image block; param is its source's path. An image that can't be used has a Fault, and is no error yet; a source
// that isn't there is one.
func (b *wireBlock) image(param string) (*agent.Image, error) {
	source := &b.Source.Other
	switch source.Type {
	case "base64":
		// A data URL in the place of its base64 can mean only one thing, and a document's may be one, too.
		if strings.HasPrefix(source.Data, "data:") {
			return openai.Image(source.Data, param+".data"), nil
		}
		return openai.InlineImage(source.Data, param+".data"), nil
	case "url":
		return openai.Image(source.URL, param+".url"), nil
	case "file":
		return &agent.Image{Param: param + ".type", Fault: noFiles(param + ".type")}, nil
	case "":
		return nil, openai.Missing(param + ".type")
	}
	return nil, openai.OneOf(param+".type", source.Type, "base64", "url")
}

// openAIImage reads an image in the form of OpenAI's APIs, which clients that speak both mix up with that of this one: its JSON would
// tell the model nothing, in as many tokens as its base64 has. The address may be a data URL.
//
//	{"type": "image_url", "image_url": {"url": "https://…"}}
//	{"type": "input_image", "image_url": "https://…"}
func (c *conversation) openAIImage(b *wireBlock, param string) (*agent.Image, error) {
	var w struct {
		ImageURL openai.StringOr[struct {
			URL string `json:"url"`
		}] `json:"image_url"`
	}
	// Rare enough to be decoded a second time, and not to make each block larger.
	if err := openai.DecodeOwn(b.span.Cut(c.data), &w); err != nil || w.ImageURL.IsZero() {
		return nil, agent.ParamError(agent.InvalidType, param, "'%s' is no image. Send {\"type\": \"image\", \"source\": {…}} with the image in base64, or its address.", param)
	}
	return openai.Image(cmp.Or(w.ImageURL.String, w.ImageURL.Other.URL), param), nil
}

// noFiles is the error of a reference to an uploaded file.
func noFiles(param string) *agent.Error {
	return agent.ParamError(agent.UnsupportedValue, param, "Files can't be uploaded here, so none can be referred to. Send the content itself: text, or an image in base64.")
}

// document appends a document, of which the models can read text and images; param is its source's path. It becomes
//
//	<document title="…" context="…">
//	the text
//	</document>
//
// A PDF (base64) becomes a file, whose text the gateway takes out; the tags around it are ours.
func (c *conversation) document(list []agent.Part, b *wireBlock, param string) ([]agent.Part, error) {
	source := &b.Source.Other
	list = append(list, agent.Part{Text: "<document" + attribute("title", b.Title) + attribute("context", b.Context) + ">\n"})
	var err error
	switch source.Type {
	case "text":
		list = appendText(list, source.Data)
	case "content":
		list, err = documentContent(list, source.Content, param+".content")
	case "file":
		err = noFiles(param + ".type")
	case "":
		err = openai.Missing(param + ".type")
	case "base64":
		f := openai.FileInput{FileData: source.Data}
		list = append(list, f.Part(param+".data"))
	case "url":
		err = agent.ParamError(agent.UnsupportedValue, param+".type",
			"Documents are not fetched here. Send the document itself (a source of type 'base64' or 'text').")
	default:
		err = openai.OneOf(param+".type", source.Type, "text", "base64", "content")
	}
	return append(list, agent.Part{Text: "\n</document>\n"}), err
}

// documentContent appends the blocks of a document: text and images. There are no documents in documents.
func documentContent(list []agent.Part, blocks content, param string) ([]agent.Part, error) {
	if blocks.wrong() {
		return nil, wrongContent(param)
	}
	for i := range blocks {
		b := &blocks[i]
		switch {
		case b.Type == "image":
			image, err := b.image(element(param, i) + ".source")
			if err != nil {
				return nil, err
			}
			list = append(list, agent.Part{Image: image})
		case b.Type == "text" || !b.isObject():
			list = appendText(list, b.Text)
		default:
			return nil, openai.OneOf(element(param, i)+".type", b.Type, "text", "image")
		}
	}
	return list, nil
}

// attribute is a quoted attribute of a tag, with a blank before it; "" for an empty value.
// strconv.Quote keeps a quote in the value from ending it.
func attribute(name, value string) string {
	if value == "" {
		return ""
	}
	return " " + name + "=" + strconv.Quote(value)
}

// separate puts a line break between texts that were blocks of their own: further down, texts
// are put together as they are. It changes the parts in place.
//
// Without it, two blocks "a" and "b" would be "ab" in the prompt.
func separate(parts []agent.Part) []agent.Part {
	for i := 1; i < len(parts); i++ {
		before, text := &parts[i-1], &parts[i]
		if before.Image == nil && text.Image == nil && !strings.HasSuffix(before.Text, "\n") && !strings.HasPrefix(text.Text, "\n") {
			text.Text = "\n" + text.Text
		}
	}
	return parts
}
