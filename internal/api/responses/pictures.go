package responses

import (
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// Items of tools of OpenAI's that hold a picture, in a conversation that a client has brought from there. As text they would be
// tens of kilobytes of base64, which tell the model nothing. Source: the items of OpenAI's published document.
//
//	{"type": "computer_call_output", "call_id": "call_1", "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,…"}}
//	{"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBORw0…", "revised_prompt": "A cat."}

// screenshot adds the picture that a computer_call_output holds, as the result of a call: of one that is in the history as text. An
// output without a picture is passed on as text.
func (t *transcript) screenshot(it *Item) error {
	var w struct {
		Output wirePart `json:"output"`
	}
	// An output may be anything, see content.
	if err := openai.DecodeOwn(it.raw, &w); err != nil || w.Output.ImageURL.IsZero() && w.Output.FileID == "" {
		t.asText(it)
		return nil
	}
	return t.result(it, []agent.Part{w.Output.image(it.param + ".output")})
}

// generatedImage adds the picture that an image_generation_call has made, behind what else the item says. One that has made none is
// passed on as text.
func (t *transcript) generatedImage(it *Item) error {
	const result = "result"
	var w struct {
		Result jsontext.Value `json:"result"`
	}
	if err := openai.DecodeOwn(it.raw, &w); err != nil || textOf(w.Result) == "" {
		t.asText(it)
		return nil
	}
	t.say([]agent.Part{{Text: it.text(result)}, {Image: openai.InlineImage(textOf(w.Result), it.param+"."+result)}})
	return nil
}
