package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func mustCompile(t testing.TB, source string, strict bool) *Schema {
	t.Helper()
	s, err := Compile([]byte(source), strict)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatCantBeUsedIsRefused(t *testing.T) {
	deep := strings.Repeat(`{"not":`, maxDepth+1) + "{}" + strings.Repeat("}", maxDepth+1)
	for name, tt := range map[string]struct{ schema, says string }{
		"no type of JSON's":   {`{"type":"nonsense"}`, `it is not a valid JSON Schema: at /type: value must be one of`},
		"a remote reference":  {`{"$ref":"https://example.com/a.json"}`, "it refers to 'https://example.com/a.json', which is not in it"},
		"a file":              {`{"$ref":"file:///etc/passwd"}`, "it refers to 'file:///etc/passwd'"},
		"a sibling file":      {`{"$ref":"other.json"}`, "it refers to 'other.json'"},
		"a missing part":      {`{"$ref":"#/$defs/a"}`, "it is not a valid JSON Schema"},
		"an unknown draft":    {`{"$schema":"https://example.com/draft"}`, "it refers to 'https://example.com/draft'"},
		"a broken pattern":    {`{"pattern":"(a"}`, "at /pattern: '(a' is not valid regex"},
		"too deep":            {deep, "nested more than 200 levels deep"},
		"too large":           {`{"description":"` + strings.Repeat("a", maxSize) + `"}`, "larger than 512 KB"},
		"too many objects":    {`{"anyOf":[{}` + strings.Repeat(",{}", maxObjects) + "]}", "more than 5000 objects"},
		"a huge number":       {`{"maximum":1e999999999}`, "a number that is too large"},
		"a tiny number":       {`{"maximum":1e-999999999}`, "a number that is too large"},
		"no JSON":             {`{"type":`, "it is not valid JSON"},
		"two values":          {`{} {}`, "it is not valid JSON"},
		"a keyword's type":    {`{"required":"a"}`, "at /required: got string, want array"},
		"an old exclusive":    {`{"exclusiveMinimum":true}`, "at /exclusiveMinimum: got boolean, want number"},
		"a pattern property":  {`{"patternProperties":{"(":{}}}`, "'(' is not valid regex"},
		"a reference to data": {`{"$ref":"#/enum/0","enum":[5]}`, "it is not a valid JSON Schema"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compile([]byte(tt.schema), false)
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "schema.invalid") {
				t.Errorf("got %v, want %q", err, tt.says)
			}
		})
	}
}

func TestWhatClientsWriteIsTaken(t *testing.T) {
	for name, tt := range map[string]struct{ schema, good, bad string }{
		"zod 3":      {`{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"a":{"$ref":"#/definitions/a"}},"definitions":{"a":{"type":"string","format":"email"}}}`, `{"a":"x@example.com"}`, `{"a":"x"}`},
		"zod 4":      {`{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"a":{"type":"string","pattern":"^(?!\\.)(?!.*\\.\\.)([A-Za-z0-9_'+\\-\\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$"}}}`, `{"a":"x@example.com"}`, `{"a":".x@example.com"}`},
		"pydantic":   {`{"$defs":{"Step":{"properties":{"say":{"title":"Say","type":"string"}},"required":["say"],"title":"Step","type":"object"}},"properties":{"steps":{"items":{"$ref":"#/$defs/Step"},"type":"array"},"n":{"anyOf":[{"type":"integer"},{"type":"null"}]}},"required":["steps","n"],"type":"object"}`, `{"steps":[{"say":"a"}],"n":null}`, `{"steps":[{"say":1}],"n":null}`},
		"a tree":     {`{"$defs":{"n":{"type":"object","properties":{"v":{"type":"number"},"c":{"type":"array","items":{"$ref":"#/$defs/n"}}},"required":["v"]}},"$ref":"#/$defs/n"}`, `{"v":1,"c":[{"v":2,"c":[]}]}`, `{"v":1,"c":[{"c":[]}]}`},
		"a root tag": {`{"type":"object","properties":{"next":{"$ref":"#"}}}`, `{"next":{"next":{}}}`, `{"next":{"next":1}}`},
		"an enum":    {`{"enum":["a",1,null]}`, `1.0`, `"b"`},
		"a date":     {`{"format":"date-time"}`, `"2026-01-02T03:04:05Z"`, `"yesterday"`},
		"no format":  {`{"format":"password"}`, `"x"`, ``},
		"no keyword": {`{"x-order":1,"nullable":true,"type":"string"}`, `"x"`, `null`},
		"no type":    {`{}`, `{"a":[1,2]}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustCompile(t, tt.schema, false)
			if err := s.Check([]byte(tt.good)); err != nil {
				t.Errorf("%s: %v", tt.good, err)
			}
			if tt.bad != "" && s.Check([]byte(tt.bad)) == nil {
				t.Errorf("%s fits", tt.bad)
			}
		})
	}
}

func TestStrictMeansNoOtherMembers(t *testing.T) {
	const other = `{"a":1,"b":{"c":1,"d":2}}`
	for name, tt := range map[string]struct {
		schema string
		closed bool
	}{
		"nested":               {`{"properties":{"a":{},"b":{"properties":{"c":{}}}}}`, true},
		"behind a reference":   {`{"properties":{"a":{},"b":{"$ref":"#/$defs/b"}},"$defs":{"b":{"properties":{"c":{}}}}}`, true},
		"in an alternative":    {`{"properties":{"a":{},"b":{"anyOf":[{"properties":{"c":{}}},{"type":"null"}]}}}`, true},
		"it says so":           {`{"properties":{"a":{},"b":{"properties":{"c":{}},"additionalProperties":true}}}`, false},
		"no properties":        {`{"properties":{"a":{},"b":{"type":"object"}}}`, false},
		"schemas put together": {`{"properties":{"a":{},"b":{"allOf":[{"properties":{"c":{}}},{"properties":{"d":{}}}]}}}`, false},
		"data is no schema":    {`{"properties":{"a":{},"b":{"const":{"c":1,"d":2}}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := mustCompile(t, tt.schema, false).Check([]byte(other)); err != nil {
				t.Errorf("not strict: %v", err)
			}
			if err := mustCompile(t, tt.schema, true).Check([]byte(other)); (err != nil) != tt.closed {
				t.Errorf("strict: %v", err)
			}
		})
	}
}

func TestProblemsSayWhere(t *testing.T) {
	for name, tt := range map[string]struct{ schema, value, want string }{
		"the value itself":    {`{"type":"object"}`, `[]`, "the value: got array, want object"},
		"several":             {`{"properties":{"a":{"type":"integer"},"b/c":{"maxLength":1}},"required":["d"]}`, `{"a":"x","b/c":"yz"}`, "at /a: got string, want integer\nat /b~1c: maxLength: got 2, want 1\nthe value: missing property 'd'"},
		"the next best":       {`{"anyOf":[{"type":"string"},{"properties":{"a":{"properties":{"b":{"type":"null"}}}},"type":"object"}]}`, `{"a":{"b":1}}`, "at /a/b: got number, want null"},
		"a member too many":   {`{"properties":{"a":{}},"additionalProperties":false}`, `{"z":1}`, "the value: additional properties 'z' not allowed"},
		"no JSON":             {`{}`, `{"a":`, "it is not valid JSON"},
		"a number too large":  {`{}`, `1e999999`, "it holds a number that is too large"},
		"a member that twice": {`{"properties":{"a":{"type":"string"}}}`, `{"a":1,"a":2}`, "at /a: got number, want string"},
	} {
		t.Run(name, func(t *testing.T) {
			err := mustCompile(t, tt.schema, false).Check([]byte(tt.value))
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %q, want %q", err, tt.want)
			}
		})
	}
}

func TestAMismatchIsShort(t *testing.T) {
	s := mustCompile(t, `{"additionalProperties":{"type":"string"}}`, false)
	var members []string
	for i := range 1000 {
		members = append(members, fmt.Sprintf("%q:1", fmt.Sprint(i)+strings.Repeat("long", 200)))
	}
	var wrong *mismatch
	if !errors.As(s.Check([]byte("{"+strings.Join(members, ",")+"}")), &wrong) || len(wrong.problems) != maxProblems || len(wrong.Error()) > 2*maxProblems*maxProblem {
		t.Errorf("%d problems, %d bytes", len(wrong.problems), len(wrong.Error()))
	}
}

// Schemas that cost more than they look like end in an error. Without the bounds, this test would not end in a lifetime.
func TestTheWorkIsBounded(t *testing.T) {
	doubling := `{"$ref":"#/$defs/d0","$defs":{"d25":{"type":"string"}`
	for i := range 25 {
		doubling += fmt.Sprintf(`,"d%d":{"anyOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}`, i, i+1, i+1)
	}
	doubling += "}}"
	for name, tt := range map[string]struct{ schema, value string }{
		"alternatives in alternatives": {doubling, `1`},
		"a tree of alternatives": {
			`{"$ref":"#/$defs/n","$defs":{"n":{"anyOf":[{"properties":{"c":{"$ref":"#/$defs/n"}},"required":["x"]},{"properties":{"c":{"$ref":"#/$defs/n"}},"required":["y"]}]}}}`,
			strings.Repeat(`{"c":`, 60) + "{}" + strings.Repeat("}", 60),
		},
		"a pattern that goes back": {`{"pattern":"^(?=(a+)+$)b"}`, `"` + strings.Repeat("a", 40) + `!"`},
		"a circle":                 {`{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`, `1`},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustCompile(t, tt.schema, false)
			if err := s.Check([]byte(tt.value)); err == nil {
				t.Error("it fits")
			}
			// The budget is one check's.
			if err := s.Check([]byte(`"bbb"`)); errors.Is(err, ErrTooMuch) && name != "alternatives in alternatives" {
				t.Error("nothing is left for the next check")
			}
		})
	}
}

func TestFit(t *testing.T) {
	const schema = `{"type":"object","properties":{
		"n":{"type":"integer"},"x":{"type":"number"},"b":{"type":"boolean"},"s":{"type":"string"},"z":{"type":"null"},
		"l":{"type":"array","items":{"type":"integer"}},"o":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]},
		"m":{"type":["integer","null"]},"a":{"anyOf":[{"type":"integer"},{"type":"boolean"}]},"e":{"type":"integer","maximum":3}}}`
	for name, tt := range map[string]struct{ value, want string }{
		"what fits stays as it is":      {`{"s": "5" , "n": 5.0}`, `{"s": "5" , "n": 5.0}`},
		"a number in a string":          {`{"n":"5"}`, `{"n":5}`},
		"its digits stay":               {`{"n":"9007199254740993","x":1.50}`, `{"n":9007199254740993,"x":1.50}`},
		"a fraction":                    {`{"x":"1.5"}`, `{"x":1.5}`},
		"truth":                         {`{"b":"true"}`, `{"b":true}`},
		"nothing":                       {`{"z":"null"}`, `{"z":null}`},
		"a string":                      {`{"s":5}`, `{"s":"5"}`},
		"a string of truth":             {`{"s":true}`, `{"s":"true"}`},
		"a list in a string":            {`{"l":"[1, 2]"}`, `{"l":[1,2]}`},
		"strings in a list in a string": {`{"l":"[\"1\"]"}`, `{"l":[1]}`},
		"an object in a string":         {`{"o":"{\"n\":\"5\"}"}`, `{"o":{"n":5}}`},
		"the arguments in a string":     {`"{\"n\":\"5\"}"`, `{"n":5}`},
		"and angle brackets":            {`{"s":"<&>","n":"5"}`, `{"n":5,"s":"<&>"}`},
		"no integer":                    {`{"n":"5.5"}`, ""},
		"no number":                     {`{"n":"five"}`, ""},
		"an integer that isn't written": {`{"n":"5.0"}`, ""},
		"two types are a doubt":         {`{"m":"5"}`, ""},
		"alternatives are a doubt":      {`{"a":"5"}`, ""},
		"a list is no string":           {`{"s":[1]}`, ""},
		"yes is no truth":               {`{"b":"yes"}`, ""},
		"converted, but out of range":   {`{"e":"5"}`, ""},
		"no JSON":                       {`{"n":`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := mustCompile(t, schema, false).Fit([]byte(tt.value))
			if string(got) != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

// FuzzCheck checks that no schema and no value breaks or holds up the checker, and that what Fit gives fits.
func FuzzCheck(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}`, `{"a":"1"}`, true)
	f.Add(`{"anyOf":[{"type":"string","pattern":"^(?!a)"},{"type":"array","items":{"$ref":"#"}}]}`, `["b",["a"]]`, false)
	f.Add(`{"multipleOf":0.1,"maximum":1e300}`, `0.3`, false)
	f.Add(`{"$id":"http://x/y","$defs":{"a":{"$anchor":"b","format":"date"}},"$ref":"#b"}`, `"2026-02-30"`, true)
	f.Add(`{"unevaluatedProperties":false,"allOf":[{"properties":{"a":{"const":null}}}],"dependentRequired":{"a":["b"]}}`, `{"a":null}`, true)
	f.Fuzz(func(t *testing.T, schema, value string, strict bool) {
		s, err := Compile([]byte(schema), strict)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		checked := s.Check([]byte(value))
		if checked == nil && !json.Valid([]byte(value)) {
			t.Errorf("%q is no JSON", value)
		}
		fitted, err := s.Fit([]byte(value))
		if checked == nil && (err != nil || string(fitted) != value) {
			t.Errorf("%q fits and becomes %q, %v", value, fitted, err)
		}
		if err == nil && s.Check(fitted) != nil {
			t.Errorf("%q does not fit", fitted)
		}
	})
}

func TestAValueWithTooManyObjectsIsToldTheBoundOfValues(t *testing.T) {
	s, err := Compile([]byte(`{"type":"array"}`), false)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Check([]byte("[" + strings.Repeat("{},", maxValues) + "{}]"))
	if err == nil || err.Error() != fmt.Sprintf("it holds more than %d objects", maxValues) {
		t.Errorf("got %v", err)
	}
}
