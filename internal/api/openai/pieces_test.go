package openai_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

const (
	png  = "\x89PNG\r\n\x1a\n rest"
	jpeg = "\xff\xd8\xff\xe0 rest"
)

func data(mime, content string) string {
	return "data:" + mime + ";base64," + base64.StdEncoding.EncodeToString([]byte(content))
}

func TestImageTakes(t *testing.T) {
	for name, test := range map[string]struct {
		url  string
		want agent.Image
	}{
		"what was declared":             {data("image/png", png), agent.Image{MIME: "image/png", Data: []byte(png)}},
		"bytes against the declaration": {data("image/png", jpeg), agent.Image{MIME: "image/jpeg", Data: []byte(jpeg)}},
		"no declaration":                {data("", jpeg), agent.Image{MIME: "image/jpeg", Data: []byte(jpeg)}},
		"a parameter":                   {data("image/JPG;charset=x", jpeg), agent.Image{MIME: "image/jpeg", Data: []byte(jpeg)}},
		"upper case":                    {strings.Replace(data("image/jpeg", jpeg), "data", "DATA", 1), agent.Image{MIME: "image/jpeg", Data: []byte(jpeg)}},
		"no padding, line breaks":       {"data:image/gif;base64,R0lGOD\r\nlhPz8", agent.Image{MIME: "image/gif", Data: []byte("GIF89a??")}},
		"the other alphabet":            {"data:image/jpeg;base64,_9j_4A", agent.Image{MIME: "image/jpeg", Data: []byte("\xff\xd8\xff\xe0")}},
		"the largest":                   {data("image/png", png+strings.Repeat("x", agent.MaxOriginalBytes-len(png))), agent.Image{MIME: "image/png", Data: []byte(png + strings.Repeat("x", agent.MaxOriginalBytes-len(png)))}},
		"a remote one":                  {"https://example.com/a.png?x=1", agent.Image{URL: "https://example.com/a.png?x=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := openai.Image(test.url, "p")
			test.want.Param = "p"
			if diff := cmp.Diff(&test.want, got, cmp.Comparer(bytes.Equal)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestImageRefuses(t *testing.T) {
	for name, url := range map[string]string{
		"nothing":           "",
		"no scheme":         "cat.png",
		"a file":            "file:///etc/passwd",
		"no host":           "https://",
		"no base64":         "data:image/png,abc",
		"no comma":          "data:image/png;base64",
		"bad base64":        "data:image/png;base64,*",
		"no bytes":          "data:image/png;base64,",
		"another type":      data("image/svg+xml", "<svg/>"),
		"no image":          data("image/png", "<svg/>"),
		"a HEIC":            data("image/jpeg", "\x00\x00\x00\x18ftypheic"),
		"one byte too many": data("image/png", png+strings.Repeat("x", agent.MaxOriginalBytes-len(png)+1)),
		"far too many":      data("image/png", strings.Repeat("x", 2*agent.MaxOriginalBytes)),
	} {
		t.Run(name, func(t *testing.T) {
			if got := openai.Image(url, "p"); got.Fault == nil || got.Fault.Code != agent.InvalidValue || got.Fault.Param != "p" || got.Data != nil {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	for text, want := range map[string]string{
		``: `{}`, ` `: `{}`, `{"a": 1}`: `{"a": 1}`, `{"a":1,"a":2}`: `{"a":1,"a":2}`, `{"a`: `"{\"a"`, `{} {}`: `"{} {}"`,
	} {
		if got := string(openai.Arguments(text)); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestToolList(t *testing.T) {
	var l openai.ToolList
	a := agent.Tool{Name: "a", Parameters: []byte(`{}`)}
	err := l.Add(a, "p")
	if err == nil {
		err = l.Add(a, "p")
	}
	if err != nil || len(l.Tools) != 1 {
		t.Errorf("the same tool twice: %v, %v", l.Tools, err)
	}
	if err := l.Add(agent.Tool{Name: "a"}, "p"); agent.CodeOf(err) != agent.InvalidValue {
		t.Errorf("another tool of the same name: %v", err)
	}
	if err := l.Add(agent.Tool{}, "p"); agent.CodeOf(err) != agent.MissingParameter {
		t.Errorf("no name: %v", err)
	}
}

func TestToolChoiceMustBePossible(t *testing.T) {
	tools := []agent.Tool{{Name: "a"}}
	for name, test := range map[string]struct {
		choice agent.ToolChoice
		tools  []agent.Tool
		ok     bool
	}{
		"auto without tools":     {agent.ToolChoice{}, nil, true},
		"none without tools":     {agent.ToolChoice{Mode: agent.ToolsNone}, nil, true},
		"required":               {agent.ToolChoice{Mode: agent.ToolsRequired}, tools, true},
		"required without tools": {agent.ToolChoice{Mode: agent.ToolsRequired}, nil, false},
		"a tool that is there":   {agent.ToolChoice{Mode: agent.ToolsRequired, Names: []string{"a"}}, tools, true},
		"a tool that is not":     {agent.ToolChoice{Names: []string{"a", "b"}}, tools, false},
	} {
		if err := openai.CheckToolChoice(test.choice, test.tools, "p"); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
