package openai

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// CustomInput is the free text in the arguments of a call of a CustomTool named name. The model should
// write {"input": "…"}, but it also writes other shapes:
//
//	"the text"                              the text alone
//	{"patch": "the text"}                   another key
//	["apply_patch", "the text"]             an array whose last string is the text, as for a shell
//	{"input": "the text", "reason": "…"}    further keys beside it
//
// The text is taken out of all of these. Arguments in which no single text can be told apart are
// returned as they are: the client's tool knows better what to make of them. For apply_patch, what is
// around the patch is removed, too.
func CustomInput(name string, arguments []byte) string {
	input, ok := textIn(arguments)
	if !ok {
		input = string(arguments)
	}
	if name == "apply_patch" {
		return wholePatch(input)
	}
	return input
}

// textIn is the text in arguments of any shape; ok is false when there is none, or more than one.
func textIn(arguments []byte) (string, bool) {
	v := jsontext.Value(bytes.TrimSpace(arguments))
	if v.Kind() != '{' {
		return singleText(v)
	}
	var object map[string]jsontext.Value
	if json.Unmarshal(v, &object, Liberal) != nil {
		return "", false
	}
	if len(object) == 0 {
		return "", true // called without an input
	}
	// The name that was asked for, then the one that models are used to.
	for _, name := range []string{"input", "patch"} {
		if text, ok := singleText(object[name]); ok {
			return text, true
		}
	}
	var texts, patches []string
	// The order of a map doesn't matter here: what counts is that there is exactly one.
	for _, value := range object {
		text, ok := singleText(value)
		if ok {
			texts = append(texts, text)
		}
		if strings.Contains(text, patchBegin) {
			patches = append(patches, text)
		}
	}
	switch {
	case len(texts) == 1:
		return texts[0], true
	case len(patches) == 1:
		return patches[0], true
	}
	return "", false
}

// singleText is the text of a JSON string, or of the last string of an array.
func singleText(v jsontext.Value) (string, bool) {
	switch v.Kind() {
	case '"':
		var text string
		err := json.Unmarshal(v, &text, Liberal)
		return text, err == nil
	case '[':
		var list []jsontext.Value
		if json.Unmarshal(v, &list, Liberal) != nil {
			return "", false
		}
		// The last string: ["apply_patch", "the patch"], as a shell's command line would have it.
		for _, element := range slices.Backward(list) {
			if element.Kind() == '"' {
				return singleText(element)
			}
		}
	}
	return "", false
}

// The first and the last line of a patch in the language of apply_patch.
const (
	patchBegin = "*** Begin Patch"
	patchEnd   = "*** End Patch"
)

// wholePatch removes what the model has put around a patch (a code fence, a heredoc, a sentence): Codex
// refuses a patch whose first and last lines aren't these.
//
// A patch that is fine stays as it is to the byte, so that the client's echo of it is what the model
// wrote. A patch without one of the lines may have been cut off: it is passed on, so that Codex refuses
// it and the model learns of that. Nothing is ever added.
func wholePatch(input string) string {
	if fine := strings.TrimSpace(input); strings.HasPrefix(fine, patchBegin) && strings.HasSuffix(fine, patchEnd) {
		return input
	}
	begin := strings.Index("\n"+input, "\n"+patchBegin)
	end := strings.LastIndex(input, "\n"+patchEnd)
	if begin < 0 || end < begin {
		return input
	}
	return input[begin : end+len("\n"+patchEnd)]
}
