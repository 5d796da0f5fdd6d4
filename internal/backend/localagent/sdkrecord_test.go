package localagent

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// fields is what a client sent on a stream: values by the path to them, in JSON.
type fields map[string]string

// A difference is a field that two clients filled in differently. A value is absent where a client said nothing.
type difference struct{ path, theirs, ours string }

const absent = "nothing"

// compare lists the fields that differ.
func compare(theirs, ours fields) []difference {
	all := maps.Clone(theirs)
	maps.Copy(all, ours)
	var found []difference
	for path := range all {
		d := difference{path: path, theirs: absent, ours: absent}
		if value, ok := theirs[path]; ok {
			d.theirs = value
		}
		if value, ok := ours[path]; ok {
			d.ours = value
		}
		if d.theirs != d.ours {
			found = append(found, d)
		}
	}
	return found
}

// What differs from one machine or run to the next, and what stands for it, as in conformance/cursorsdk.
var volatile = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`"localExecutionTimeMs":\d+`), `"localExecutionTimeMs":0`},
	{regexp.MustCompile(`"osVersion":"[^"]*"`), `"osVersion":"OS"`},
}

// transportHeaders come from the HTTP library, or say nothing; conformance/cursorsdk leaves them out.
var transportHeaders = []string{"accept-encoding", "user-agent", "traceparent", "backend-traceparent"}

// readRecord reads the simulator's record of a stream: the part of it that the client sent.
func readRecord(t *testing.T, data []byte) fields {
	t.Helper()
	var record struct {
		Attempt           int
		Continued, Resume bool
		Header            map[string]any
		Request           any
		Execs             []struct {
			Kind, Thrown string
			Answer       any
		}
		Blobs, Answers []any
		Unknown        []string
	}
	for _, v := range volatile {
		data = v.pattern.ReplaceAll(data, []byte(v.instead))
	}
	if err := json.Unmarshal(data, &record); err != nil {
		t.Fatal(err)
	}
	for _, name := range transportHeaders {
		delete(record.Header, name)
	}
	f := fields{}
	f.add("attempt", record.Attempt)
	f.add("continued", record.Continued)
	f.add("resume", record.Resume)
	f.add("header", record.Header)
	f.add("request", record.Request)
	asked := map[string]int{}
	for _, exec := range record.Execs {
		path := "exec." + exec.Kind
		if asked[exec.Kind]++; asked[exec.Kind] > 1 {
			path += fmt.Sprint("#", asked[exec.Kind])
		}
		f.add(path+".answer", exec.Answer)
		f.add(path+".thrown", exec.Thrown)
	}
	f.add("blobs", record.Blobs)
	f.add("answers", record.Answers)
	for _, name := range record.Unknown {
		f.add("unknown."+name, true) // its value isn't recorded
	}
	return f
}

// add adds what lies under path: a field of its own for each value that is neither a list nor an object, or empty.
func (f fields) add(path string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			f.add(path+"."+name, inner)
		}
		if len(value) > 0 {
			return
		}
	case []any:
		for i, inner := range value {
			f.add(fmt.Sprintf("%s[%d]", path, i), inner)
		}
		if len(value) > 0 {
			return
		}
	case string:
		if strings.HasSuffix(path, ".blobData") {
			f[path] = readable(value)
			return
		}
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err) // it was JSON before
	}
	f[path] = string(encoded)
}

// readable is a blob's text, if it is text.
func readable(blob string) string {
	if data, err := base64.StdEncoding.DecodeString(blob); err == nil && utf8.Valid(data) {
		return string(data)
	}
	return blob
}
