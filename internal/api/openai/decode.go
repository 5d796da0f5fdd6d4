package openai

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unsafe"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
)

// Decode decodes a request body into v, a pointer to a struct. Names are case-sensitive, unknown members
// are ignored, null leaves a field at its zero value, of duplicate names the last counts, and invalid
// UTF-8 becomes U+FFFD. Nesting is limited to 10,000 levels by the JSON package. What a
// body may hold was checked by a [Counter] while it came.
//
// Errors are *agent.Error: InvalidJSON when body isn't one JSON value, InvalidType with the field's path
// as Param when a value has the wrong type.
//
// A leading byte order mark is skipped.
//
// The result may share no memory with body, except for fields that say so (jsontext.Value).
func Decode(body []byte, v any) error {
	body = bytes.TrimPrefix(body, []byte("\uFEFF"))
	// The parser's "unexpected EOF" would be no help.
	if len(bytes.TrimSpace(body)) == 0 {
		return agent.Errorf(agent.InvalidJSON, "The request body is empty. Send a JSON object.")
	}
	err := json.Unmarshal(body, v, Liberal)
	if err == nil {
		return nil
	}
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		return semanticError(semantic)
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		return syntaxError(body, syntactic.ByteOffset)
	}
	return &agent.Error{Code: agent.InvalidJSON, Err: err}
}

// unquoted is a body whose double quotes are gone: it begins with a single quote, or with a name in none.
var unquoted = regexp.MustCompile(`^('|\{\s*[^"}\s])`)

// syntaxError says that body is no JSON from the byte at on. What people meet when they try an API by hand is named: on Windows,
// PowerShell writes files in UTF-16, and cmd.exe takes double quotes away and leaves single ones.
func syntaxError(body []byte, at int64) *agent.Error {
	what := fmt.Sprintf("error near byte %d.", at)
	switch text := bytes.TrimLeft(body, " \t\r\n"); {
	case bytes.IndexByte(body[:min(len(body), 2)], 0) >= 0, bytes.HasPrefix(body, []byte{0xFF, 0xFE}), bytes.HasPrefix(body, []byte{0xFE, 0xFF}):
		what = "it seems to be UTF-16. Send it as UTF-8."
	case at >= int64(len(body)):
		what = fmt.Sprintf("it ends too early, after %d bytes.", len(body))
	case unquoted.Match(text):
		what += " Names and texts have to be in double quotes, and the body in nothing. Some shells take double quotes away: put the body into a file, and send that (curl -d @file)."
	}
	return agent.Errorf(agent.InvalidJSON, "The request body is not valid JSON: %s", what)
}

// DecodeOwn decodes JSON that we have written ourselves, so an error in it is ours. Unlike those of the
// JSON package, its errors don't quote data, which holds what people wrote: they may be logged.
func DecodeOwn(data []byte, v any) error {
	err := json.Unmarshal(data, v, Liberal)
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &semantic):
		return fmt.Errorf("openai: JSON of ours is no %v at byte %d", semantic.GoType, semantic.ByteOffset)
	case errors.As(err, &syntactic):
		return fmt.Errorf("openai: JSON of ours is damaged at byte %d", syntactic.ByteOffset)
	}
	return errors.New("openai: JSON of ours can't be read")
}

// Liberal are the options for reading what clients send and for writing it again: invalid UTF-8 becomes
// U+FFFD, and of duplicate names the last counts. U+2028 and U+2029 are written escaped, because some SDKs
// take them for the end of a line.
var Liberal = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.EscapeForJS(true))

// semanticError says what is wrong with the value that e is about. e itself is not kept as the cause: it
// quotes the request, which must not be logged. For {"messages": [{"role": 7}]}:
//
//	Invalid type for 'messages[0].role': expected a string, but got a number.
//
// The error names types and never values: what a client has sent does not get into an error that is
// logged.
func semanticError(e *json.SemanticError) *agent.Error {
	param := paramPath(e.JSONPointer)
	want, got := kindOfType(e.GoType), e.JSONKind
	var union *unionError
	named := kindNames[got]
	switch {
	case errors.As(e.Err, &union):
		want, named = union.want, cmp.Or(union.named, kindNames[union.got])
	case want == "a number" && got == '0':
		named = "one that is too large" // 1e400
	}
	// The root: the body is a list, a text or a number.
	if param == "" {
		return agent.Errorf(agent.InvalidType, "The request body must be a JSON object.")
	}
	return agent.ParamError(agent.InvalidType, param, "Invalid type for '%s': expected %s, but got %s.", param, want, named)
}

// paramPath turns a JSON pointer into the form of OpenAI's errors: "/messages/2/content" becomes
// "messages[2].content".
func paramPath(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if _, err := strconv.ParseUint(token, 10, 32); err == nil && b.Len() > 0 {
			b.WriteString("[" + token + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(token)
	}
	return Clip(b.String())
}

// kindNames are the names of JSON values in error messages.
var kindNames = map[jsontext.Kind]string{
	'n': "null", 't': "a boolean", 'f': "a boolean", '"': "a string", '0': "a number", '{': "an object", '[': "an array",
	0: "something else",
}

// kindOfType is the name, in error messages, of the JSON value that a Go type is decoded from.
func kindOfType(t reflect.Type) string {
	if t == nil {
		return "another type"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindOfType(t.Elem())
	case reflect.Bool:
		return "a boolean"
	case reflect.String:
		return "a string"
	case reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	}
	return "an object"
}

// A StringOr is a value that is either a string or a T: content, stop, tool_choice. Null and absence leave
// it zero.
type StringOr[T any] struct {
	// Kind is '"' for a string, the kind of a T, '[' or '{', or 0 when the value is null or absent.
	Kind jsontext.Kind
	// String is set for a string, Other for a T.
	String string
	Other  T
}

// IsZero reports whether the value was null or absent.
func (s *StringOr[T]) IsZero() bool { return s.Kind == 0 }

// UnmarshalJSONFrom implements json.UnmarshalerFrom. A value of another type is an error that names both types that would do.
//
// PeekKind reads no value, so each of the branches below reads exactly one, as the interface asks.
func (s *StringOr[T]) UnmarshalJSONFrom(d *jsontext.Decoder) (err error) {
	*s = StringOr[T]{}
	other := kindOf(reflect.TypeFor[T]())
	switch kind := d.PeekKind(); kind {
	case 'n':
		return d.SkipValue()
	case '"':
		s.Kind = kind
		s.String, err = readString(d)
		return err
	case other:
		s.Kind = kind
		return json.UnmarshalDecode(d, &s.Other)
	case 0:
		return d.SkipValue() // says what is wrong
	default:
		if err := d.SkipValue(); err != nil {
			return err
		}
		return &unionError{want: "a string or " + kindNames[other], got: kind}
	}
}

// readString reads a string, as the JSON package does, but writes it once: straight to where it stays. A prompt is megabytes
// of strings, and the package unquotes each into a buffer first. What is decoded with it is valid UTF-8.
func readString(d *jsontext.Decoder) (string, error) {
	v, err := d.ReadValue()
	if err != nil {
		return "", err
	}
	// v is a string, or ReadValue would have failed. The error says that something was not UTF-8, and was replaced.
	text, _ := jsontext.AppendUnquote(make([]byte, 0, len(v)), v)
	return unsafe.String(unsafe.SliceData(text), len(text)), nil // nothing else has the bytes
}

// kindOf is the kind of JSON value that a struct or slice type, or Object, is decoded from.
func kindOf(t reflect.Type) jsontext.Kind {
	if t.Kind() == reflect.Slice && t != reflect.TypeFor[Object]() {
		return '['
	}
	return '{'
}

// A unionError is the error for a value of the wrong type where more than one is right. It passes through
// the JSON package to semanticError.
type unionError struct {
	// want is what is right, in words.
	want string
	got  jsontext.Kind
	// named says what came where its kind doesn't tell; "" where it does.
	named string
}

// Error implements error. Clients get the words of semanticError.
func (e *unionError) Error() string { return "want " + e.want + ", got " + kindNames[e.got] }

// Sent reports whether a member is there and not null. Its value is skipped.
type Sent bool

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (s *Sent) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*s = d.PeekKind() != 'n'
	return d.SkipValue()
}

// An Object is a JSON object that is not decoded: a schema, metadata. Null and absence leave it nil.
type Object []byte

// UnmarshalJSONFrom implements json.UnmarshalerFrom. It copies the object.
func (o *Object) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	kind := d.PeekKind()
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	switch kind {
	case 'n':
		*o = nil
	case '{':
		*o = append(Object(nil), v...)
	default:
		return &unionError{want: "an object", got: kind}
	}
	return nil
}

// MarshalJSONTo implements json.MarshalerTo. A nil Object is null.
func (o Object) MarshalJSONTo(e *jsontext.Encoder) error {
	if o == nil {
		return e.WriteToken(jsontext.Null)
	}
	return e.WriteValue(jsontext.Value(o))
}

// An Int is a whole number that may be written as 1, 1.0 or 1e3: clients whose language has only floats
// write it so.
//
// A fraction is an error and is not cut off: a client that asks for 1.5 tokens has made a mistake.
type Int int

// UnmarshalJSONFrom implements json.UnmarshalerFrom. A number with a fraction, or beyond 2^53, is an error.
func (i *Int) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	kind := d.PeekKind()
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	if kind != '0' {
		if kind == 'n' {
			return nil
		}
		return &unionError{want: "an integer", got: kind}
	}
	f, err := strconv.ParseFloat(string(v), 64)
	switch {
	// Beyond 2^53 a float is not exact, so the client can't have meant that number: it is the largest of its language.
	case err != nil || f > 1<<53 || f < -1<<53:
		return &unionError{want: "an integer from -2^53 to 2^53", got: kind, named: "one that is further from 0"}
	case f != float64(int64(f)):
		return &unionError{want: "an integer", got: kind, named: "a number with a fraction"}
	}
	*i = Int(f)
	return nil
}
