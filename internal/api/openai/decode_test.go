package openai_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// A document has a field of each kind that requests are made of.
type document struct {
	Name  string                  `json:"name"`
	Flag  *bool                   `json:"flag"`
	Count *openai.Int             `json:"count"`
	Ratio *float64                `json:"ratio"`
	List  []item                  `json:"list"`
	Text  openai.StringOr[[]item] `json:"text"`
	Pick  openai.StringOr[item]   `json:"pick"`
	Raw   openai.Object           `json:"raw"`
	Map   map[string]string       `json:"map"`
}

type item struct {
	A string `json:"a"`
}

func TestDecodeTakes(t *testing.T) {
	yes, seven := true, openai.Int(7)
	for name, test := range map[string]struct {
		body string
		want document
	}{
		"unknown fields":     {`{"x":{"y":[1]},"name":"n"}`, document{Name: "n"}},
		"null as absent":     {`{"name":null,"flag":null,"count":null,"list":null,"text":null,"pick":null,"raw":null,"map":null}`, document{}},
		"the last duplicate": {`{"name":"a","name":"b"}`, document{Name: "b"}},
		"byte order mark":    {"\uFEFF{\"name\":\"n\"}", document{Name: "n"}},
		"bad UTF-8":          {"{\"name\":\"a\xffb\"}", document{Name: "a\uFFFDb"}},
		"half a surrogate":   {`{"name":"a\ud800b"}`, document{Name: "a\uFFFDb"}},
		"a whole float":      {`{"count":7.0,"flag":true}`, document{Count: &seven, Flag: &yes}},
		"an exponent":        {`{"count":0.7e1}`, document{Count: &seven}},
		"a string or list":   {`{"text":"t"}`, document{Text: openai.StringOr[[]item]{Kind: '"', String: "t"}}},
		"a list or string":   {`{"text":[{"a":"b"}]}`, document{Text: openai.StringOr[[]item]{Kind: '[', Other: []item{{"b"}}}}},
		"an object or string": {
			`{"pick":"x","pick":{"a":"b"}}`, document{Pick: openai.StringOr[item]{Kind: '{', Other: item{"b"}}},
		},
		"an object as it is": {`{"raw":{"z":1, "a":[]}}`, document{Raw: openai.Object(`{"z":1, "a":[]}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			var got document
			if err := openai.Decode([]byte(test.body), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	const quotes = " Names and texts have to be in double quotes, and the body in nothing. Some shells take double quotes away: put the body into a file, and send that (curl -d @file)."
	for _, test := range []struct {
		body    string
		code    agent.Code
		param   string
		message string
	}{
		{` `, agent.InvalidJSON, "", "The request body is empty. Send a JSON object."},
		{`{"name":"n"`, agent.InvalidJSON, "", "The request body is not valid JSON: it ends too early, after 11 bytes."},
		{`{"text":`, agent.InvalidJSON, "", "The request body is not valid JSON: it ends too early, after 8 bytes."},
		{`'{name:n}'`, agent.InvalidJSON, "", "The request body is not valid JSON: error near byte 0." + quotes},
		{`{model:n}`, agent.InvalidJSON, "", "The request body is not valid JSON: error near byte 1." + quotes},
		{`{name:n}`, agent.InvalidJSON, "", "The request body is not valid JSON: error near byte 2." + quotes},
		{` {'name':'n'}`, agent.InvalidJSON, "", "The request body is not valid JSON: error near byte 2." + quotes},
		{`{"name":x}`, agent.InvalidJSON, "", "The request body is not valid JSON: error near byte 8."},
		{`{}}`, agent.InvalidJSON, "", "The request body is not valid JSON: error near byte 2."},
		{"\xFF\xFE{\x00}\x00", agent.InvalidJSON, "", "The request body is not valid JSON: it seems to be UTF-16. Send it as UTF-8."},
		{"{\x00}\x00", agent.InvalidJSON, "", "The request body is not valid JSON: it seems to be UTF-16. Send it as UTF-8."},
		{`{"text":[}`, agent.InvalidJSON, "", "The request body is not valid JSON: error near byte 9."},
		{`{} {}`, agent.InvalidJSON, "", "The request body is not valid JSON: error near byte 3."},
		{`{"x":` + strings.Repeat("[", 20000), agent.InvalidJSON, "", "The request body is not valid JSON: error near byte 10004."},
		{`[]`, agent.InvalidType, "", "The request body must be a JSON object."},
		{`{"name":7}`, agent.InvalidType, "name", "Invalid type for 'name': expected a string, but got a number."},
		{`{"flag":"true"}`, agent.InvalidType, "flag", "Invalid type for 'flag': expected a boolean, but got a string."},
		{`{"count":1.5}`, agent.InvalidType, "count", "Invalid type for 'count': expected an integer, but got a number with a fraction."},
		{`{"count":1e300}`, agent.InvalidType, "count", "Invalid type for 'count': expected an integer from -2^53 to 2^53, but got one that is further from 0."},
		{`{"count":9223372036854775807}`, agent.InvalidType, "count", "Invalid type for 'count': expected an integer from -2^53 to 2^53, but got one that is further from 0."},
		{`{"count":"1"}`, agent.InvalidType, "count", "Invalid type for 'count': expected an integer, but got a string."},
		{`{"ratio":[]}`, agent.InvalidType, "ratio", "Invalid type for 'ratio': expected a number, but got an array."},
		{`{"ratio":1e400}`, agent.InvalidType, "ratio", "Invalid type for 'ratio': expected a number, but got one that is too large."},
		{`{"list":{}}`, agent.InvalidType, "list", "Invalid type for 'list': expected an array, but got an object."},
		{`{"list":[{},{"a":true}]}`, agent.InvalidType, "list[1].a", "Invalid type for 'list[1].a': expected a string, but got a boolean."},
		{`{"text":{}}`, agent.InvalidType, "text", "Invalid type for 'text': expected a string or an array, but got an object."},
		{`{"text":["x"]}`, agent.InvalidType, "text[0]", "Invalid type for 'text[0]': expected an object, but got a string."},
		{`{"pick":[]}`, agent.InvalidType, "pick", "Invalid type for 'pick': expected a string or an object, but got an array."},
		{`{"raw":[]}`, agent.InvalidType, "raw", "Invalid type for 'raw': expected an object, but got an array."},
		{`{"map":{"k":{}}}`, agent.InvalidType, "map.k", "Invalid type for 'map.k': expected a string, but got an object."},
	} {
		t.Run(test.body[:min(len(test.body), 30)], func(t *testing.T) {
			var v document
			err := openai.Decode([]byte(test.body), &v)
			if err == nil {
				t.Fatal("no error")
			}
			e := agent.AsError(err)
			if e.Code != test.code || e.Param != test.param || e.Message != test.message {
				t.Errorf("got %v, %q, %q", e.Code, e.Param, e.Message)
			}
		})
	}
}

func TestErrorsAboutOurOwnJSONQuoteNothing(t *testing.T) {
	for _, data := range []string{`{"name":{"hunter2":1}}`, `{"flag":"hunter2"}`, `{"map":{"hunter2":2}}`, `{"hunter2":}`, `"hunter2"`, `hunter2`, ``} {
		var doc document
		if err := openai.DecodeOwn([]byte(data), &doc); err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v", data, err)
		}
	}
}
