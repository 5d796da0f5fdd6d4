package control

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Finding JSON in an answer that should have been nothing but JSON. Models put it into code
// fences, or write a sentence before it.

const (
	// A text with very many brackets must not cost a parse for each. Both bounds are far above what answers need.
	maxTried  = 64 // places in an answer that are tried as the beginning of a value
	maxValues = 8  // values that are looked at
)

// jsonValues finds the JSON values of an answer, the longest first: the whole answer, if it is one value; else what stands
// in code fences, and the objects and lists between words. Numbers and words of JSON (true, null) count only as the whole
// answer or in a fence: they stand in any text.
//
// The longest comes first because an answer that explains itself quotes small pieces of JSON,
// and the value that was asked for is larger than these.
func jsonValues(answer string) []string {
	answer = strings.TrimSpace(answer)
	if json.Valid([]byte(answer)) {
		return []string{answer}
	}
	values := append(fenced(answer), bare(answer)...)
	slices.SortStableFunc(values, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	values = slices.Compact(values)
	return values[:min(len(values), maxValues)]
}

// fenced are the code blocks of a text that are JSON.
func fenced(text string) []string {
	return slices.DeleteFunc(blocks(text), func(block string) bool { return !json.Valid([]byte(block)) })
}

// blocks are the code blocks of a text. The last one may have no end.
func blocks(text string) []string {
	const fence = "```"
	var all []string
	for {
		_, after, found := strings.Cut(text, fence)
		if !found {
			return all
		}
		_, after, _ = strings.Cut(after, "\n") // the language
		var block string
		block, text, _ = strings.Cut(after, fence)
		all = append(all, strings.TrimSpace(block))
	}
}

// bare are the objects and lists that stand in a text. Where one begins that has no end, the next
// bracket is tried. A list of brackets costs at most maxTried attempts, each up to the first error. A
// value that was found is skipped as a whole, so what is inside it does not count once more.
func bare(text string) []string {
	var values []string
	for range maxTried {
		start := strings.IndexAny(text, "{[")
		if start < 0 {
			break
		}
		text = text[start:]
		d := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		value, err := d.ReadValue()
		if err != nil {
			text = text[1:]
			continue
		}
		values = append(values, string(value))
		text = text[d.InputOffset():]
	}
	return values
}
