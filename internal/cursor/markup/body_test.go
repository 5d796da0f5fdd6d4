package markup

import (
	"encoding/json"
	"strings"
	"testing"

	"composer-api/internal/agent"
)

// bodyCases are bodies of calls and what they mean: "NAME{arguments}", "!NAME{arguments}" for a call that is refused, or
// "" when they are no call.
var bodyCases = []struct{ name, body, want string }{
	{"separators", "\nread\n<|tool_sep|>path\na.go\n<|tool_sep|>limit\n10\n", `read{"path":"a.go","limit":10}`},
	{"only a name", "\nread\n", `read{}`},
	{"a name with signs", "mcp-x.find", `mcp-x.find{}`},
	{"a value of many lines", "shell\n<|tool_sep|>command\n\n  a\n\n  b  \n\n", "shell{\"command\":\"\\n  a\\n\\n  b  \\n\"}"},
	{"a value with windows line breaks", "shell\r\n<|tool_sep|>command\r\na\r\nb\r\n", "shell{\"command\":\"a\\r\\nb\"}"},
	{"an empty value", "shell\n<|tool_sep|>command\n", `shell{"command":""}`},
	{"a string stays a string", "shell\n<|tool_sep|>command\ntrue\n", `shell{"command":"true"}`},
	{"a string that looks like JSON", "shell\n<|tool_sep|>command\n{\"a\": 1}\n", `shell{"command":"{\"a\": 1}"}`},
	{"values are decoded", "shell\n<|tool_sep|>background\ntrue\n<|tool_sep|>env\n{\"A\": [1]}\n<|tool_sep|>timeout\n 1.5e3 \n", `shell{"background":true,"env":{"A": [1]},"timeout":1.5e3}`},
	{"without a schema values are decoded, too", "any\n<|tool_sep|>a\nnull\n<|tool_sep|>b\n[1, 2]\n<|tool_sep|>c\n007\n<|tool_sep|>d\n\"x\"\n", `any{"a":null,"b":[1, 2],"c":"007","d":"\"x\""}`},
	{"an argument the schema does not know", "shell\n<|tool_sep|>cwd\n/tmp\n", `shell{"cwd":"/tmp"}`},
	{"an argument given twice", "read\n<|tool_sep|>path\na\n<|tool_sep|>path\nb\n", `read{"path":"b"}`},
	{"markup and signs in a value", "shell\n<|tool_sep|>command\necho '<b>&\u2028' | cat <x\n", `shell{"command":"echo '<b>&` + "\u2028" + `' | cat <x"}`},
	{"an argument without a name", "read\n<|tool_sep|>\n\n", `!read{"":""}`},
	{"an argument that is no name", "read\n<|tool_sep|>{\"path\": 1}\n", `!read{"{\"path\": 1}":""}`},
	{"an unknown tool", "write\n<|tool_sep|>path\na\n", `!write{"path":"a"}`},
	{"prose", "I would like to read a file.", ""},
	{"nothing", "", ""},

	{"parentheses with colons", "read(path: a.go, limit: 5)", `read{"path":"a.go","limit":5}`},
	{"parentheses with equals signs", "\n read(path=\"a.go\", limit=5) \n", `read{"path":"a.go","limit":5}`},
	{"brackets", "read[path: a.go]", `read{"path":"a.go"}`},
	{"no arguments", "read()", `read{}`},
	{"an object in parentheses", `read({"path": "a.go"})`, `read{"path": "a.go"}`},
	{"a comma in a bare value", "shell(command: echo a, b: c, timeout: 3)", `shell{"command":"echo a, b: c","timeout":3}`},
	{"parentheses in a bare value", "shell(command: f(x), timeout=3)", `shell{"command":"f(x)","timeout":3}`},
	{"a quoted value keeps its commas and type", `any(a: "1, b: 2", c: "3")`, `any{"a":"1, b: 2","c":"3"}`},
	{"a single-quoted value", "any(a='x, b=y', c=true)", `any{"a":"x, b=y","c":true}`},
	{"an apostrophe", "any(a: 'tis so, b: it's)", `any{"a":"'tis so","b":"it's"}`},
	{"arguments the schema does not know", `read(path: a, depth: 2, deep: true, x: y)`, `read{"path":"a, depth: 2, deep: true, x: y"}`},
	{"and after a number", `read(depth: 2, deep: true, path: y)`, `read{"depth":2,"deep":true,"path":"y"}`},
	{"JSON values", `shell(env: {"A": "b, c: d"}, timeout: 2)`, `shell{"env":{"A": "b, c: d"},"timeout":2}`},
	{"escapes in quotes", `shell(command: "a\n\"b\"")`, `shell{"command":"a\n\"b\""}`},
	{"quoted names", `any("a": 1)`, `any{"a":1}`},
	{"a parenthesis that does not close", "read(path: a", `!read"path: a"`},
	{"an expression without names", "read(a.go)", `!read"a.go"`},

	{"an object", `{"name": "read", "arguments": {"path": "a.go"}}`, `read{"path": "a.go"}`},
	{"arguments as a string", `{"name": "read", "arguments": "{\"path\": \"a.go\"}"}`, `read{"path": "a.go"}`},
	{"tool and args", `{"tool": "read", "args": {"path": "a.go"}}`, `read{"path": "a.go"}`},
	{"tool_name and input", `{"tool_name": "read", "input": {}}`, `read{}`},
	{"toolName and parameters", `{"toolName": "read", "parameters": {"limit": 1}}`, `read{"limit": 1}`},
	{"params", `{"name": "read", "params": {"limit": 1}}`, `read{"limit": 1}`},
	{"function", `{"type": "function", "function": {"name": "read", "arguments": "{}"}}`, `read{}`},
	{"no arguments key", `{"name": "read"}`, `read{}`},
	{"null arguments", `{"name": "read", "arguments": null}`, `read{}`},
	{"empty arguments", `{"name": "read", "arguments": ""}`, `read{}`},
	{"arguments that are no object", `{"name": "read", "arguments": [1]}`, `!read"{\"name\": \"read\", \"arguments\": [1]}"`},
	{"arguments that are no JSON", `{"name": "read", "arguments": "path"}`, `!read"{\"name\": \"read\", \"arguments\": \"path\"}"`},
	{"an object without a name", `{"arguments": {}}`, `!"{\"arguments\": {}}"`},
	{"a name that is no string", `{"name": 1, "arguments": {}}`, `!"{\"name\": 1, \"arguments\": {}}"`},
	{"an object that is cut off", `{"name": "read", "arguments": {`, `!"{\"name\": \"read\", \"arguments\": {"`},

	{"a name in another case", "\nREAD\n<|tool_sep|>path\na.go\n", `read{"path":"a.go"}`},
	{"and with other signs", "MCP_X_Find()", `mcp-x.find{}`},
	{"and in an object", `{"name": "Shell", "arguments": {"command": "ls"}}`, `shell{"command": "ls"}`},
	{"an unknown name on a line", "\nrm\n", `!rm{}`},
	{"an unknown name with arguments", `rm(path: a, force: true)`, `!rm"path: a, force: true"`},
	{"an unknown name with an object", `rm({"path": "a"})`, `!rm{"path": "a"}`},
	{"an unknown name in an object", `{"name": "rm", "arguments": {"path": "a"}}`, `!rm{"path": "a"}`},
	{"a word between two markers", " and ", ""},
	{"a name of many words", "\nremove the\tfile\n<|tool_sep|>path\na\n", `!remove the file{"path":"a"}`},

	{"a call in a value", "any\n<|tool_sep|>a\n" + call2 + "\n<|tool_sep|>b\n2\n", `any{"a":` + quoted(call2) + `,"b":2}`},
	{"a begin in a value", "any\n<|tool_sep|>a\n<|tool_call_begin|> opens\n<|tool_sep|>b\n2\n", `any{"a":"<|tool_call_begin|> opens","b":2}`},
	{"an end in a value", "any\n<|tool_sep|>a\n<|tool_call_end|> closes\n<|tool_sep|>b\n2\n", `any{"a":"<|tool_call_end|> closes","b":2}`},
	{"a separator in a value", "any\n<|tool_sep|>a\n<|tool_sep|> stands between\n<|tool_sep|>b\n2\n", `any{"a":"<|tool_sep|> stands between","b":2}`},
	{"markers in JSON", `{"name": "any", "arguments": {"a": "<|tool_sep|>b\n<|tool_call_end|>"}}`, `any{"a": "<|tool_sep|>b\n<|tool_call_end|>"}`},
}

func quoted(s string) string { return string(quote(s)) }

func TestParseCall(t *testing.T) {
	for _, c := range bodyCases {
		t.Run(c.name, func(t *testing.T) {
			call, refusal, ok := parseCall([]byte(c.body), newToolbox(tools))
			got := ""
			switch {
			case refusal != nil:
				got = "!" + refusal.Name + string(refusal.Arguments)
			case ok:
				got = call.tool.Name + string(call.arguments)
				if !json.Valid(call.arguments) {
					t.Errorf("%s is not JSON", call.arguments)
				}
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestSchemaDecidesWhatIsAString(t *testing.T) {
	for _, c := range []struct {
		name, schema string
		isString     bool
	}{
		{"string", `{"properties":{"a":{"type":"string"}}}`, true},
		{"integer", `{"properties":{"a":{"type":"integer"}}}`, false},
		{"string or null", `{"properties":{"a":{"type":["string","null"]}}}`, true},
		{"an enum of strings", `{"properties":{"a":{"enum":["1","2"]}}}`, true},
		{"an enum of numbers", `{"properties":{"a":{"enum":[1,2]}}}`, false},
		{"a constant", `{"properties":{"a":{"const":"1"}}}`, true},
		{"any of", `{"properties":{"a":{"anyOf":[{"type":"null"},{"type":"string"}]}}}`, true},
		{"all of", `{"properties":{"a":{"allOf":[{"type":"string"}]}}}`, true},
		{"a reference", `{"properties":{"a":{"$ref":"#/$defs/s"}},"$defs":{"s":{"type":"string"}}}`, true},
		{"an old reference", `{"properties":{"a":{"$ref":"#/definitions/s"}},"definitions":{"s":{"type":"string"}}}`, true},
		{"a reference in a circle", `{"properties":{"a":{"$ref":"#/$defs/s"}},"$defs":{"s":{"anyOf":[{"$ref":"#/$defs/s"},{"$ref":"#/$defs/s"}]}}}`, false},
		{"a reference to nowhere", `{"properties":{"a":{"$ref":"#/$defs/x"}}}`, false},
		{"other properties", `{"additionalProperties":{"type":"string"}}`, true},
		{"no others", `{"additionalProperties":false}`, false},
		{"anything", `{"properties":{"a":true}}`, false},
		{"no schema", ``, false},
		{"not a schema", `[1]`, false},
		{"a schema with odd types", `{"properties":{"a":{"type":7}}}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := newToolbox(nil).arguments(&agent.Tool{Parameters: json.RawMessage(c.schema)})
			args.set("a", "1")
			want := `{"a":1}`
			if c.isString {
				want = `{"a":"1"}`
			}
			if got := string(args.object()); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func FuzzParseCall(f *testing.F) {
	for _, c := range bodyCases {
		f.Add(c.body, `{"properties":{"path":{"type":"string"}}}`)
	}
	f.Add("any\n<|tool_sep|>a\n1", `{"properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"}]}}}`)
	f.Fuzz(func(t *testing.T, body, schema string) {
		offered := []agent.Tool{{Name: "any", Parameters: json.RawMessage(schema)}, tools[0], tools[1]}
		call, refusal, ok := parseCall([]byte(strings.ToValidUTF8(body, "?")), newToolbox(offered))
		if !ok {
			return
		}
		arguments := call.arguments
		if refusal != nil {
			arguments = refusal.Arguments
		}
		var object map[string]json.RawMessage
		if !json.Valid(arguments) || refusal == nil && (json.Unmarshal(arguments, &object) != nil || object == nil) {
			t.Errorf("%q became %+v %+v", body, call, refusal)
		}
	})
}
