package known_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/api/known"
)

// A request as a surface decodes it: what it says, and a list of things.
type request struct {
	Model string  `json:"model"`
	List  []thing `json:"list"`
}

type thing struct {
	Text string         `json:"text"`
	Raw  jsontext.Value `json:"raw"`
}

// A reader decodes requests, and counts the bytes that it decoded.
type reader struct {
	memory  *known.Memory
	decoded int
}

var liberal = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

func (r *reader) read(owner, body string) (req request, err error) {
	err = known.Decode(r.memory.Of(owner), []byte(body), "list", func(body []byte) ([]thing, error) {
		r.decoded += len(body)
		req = request{}
		err := json.Unmarshal(body, &req, liberal)
		return req.List, err
	}, func(t *thing) (int, bool) { return 100, t.Text != "never" })
	return req, err
}

// long is a list whose element i has the text i and a kilobyte.
func long(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`{"text":"%d \" ]} \\", "raw":["%s",{"}":[1,null]}]}`, i, strings.Repeat(`x\\\"`, 200)))
	}
	return strings.Join(all, ",")
}

func TestOnlyWhatIsNewIsDecoded(t *testing.T) {
	r := reader{memory: known.New(known.Config{})}
	for n := 20; n < 24; n++ {
		body := `{"model":"m","list":[` + long(n) + `]}`
		r.decoded = 0
		got, err := r.read("a", body)
		if want, _ := (&reader{}).read("a", body); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%d elements: %+v, %v", n, got, err)
		}
		if n > 20 && r.decoded > 2000 {
			t.Errorf("%d elements, of which one is new: %d bytes of %d were decoded", n, r.decoded, len(body))
		}
	}
}

func TestAnOwnerFindsNothingOfAnothers(t *testing.T) {
	r := reader{memory: known.New(known.Config{})}
	body := `{"list":[` + long(20) + `]}`
	for _, owner := range []string{"a", "b"} {
		r.decoded = 0
		if _, err := r.read(owner, body); err != nil || r.decoded != len(body) {
			t.Errorf("%s: %d bytes of %d were decoded, %v", owner, r.decoded, len(body), err)
		}
	}
}

func TestTheMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := known.New(known.Config{Bytes: 100_000})
		r := reader{memory: m}
		for i := range 50 {
			r.read("a", fmt.Sprintf(`{"list":[{"text":"%d"},`, i)+strings.ReplaceAll(long(20), "x", fmt.Sprint(i))+`]}`)
			if kept := m.Bytes(); kept > 100_000 || i > 5 && kept < 50_000 {
				t.Fatalf("%d bytes are kept", kept)
			}
		}
		time.Sleep(time.Hour)
		if kept := m.Bytes(); kept != 0 {
			t.Errorf("%d bytes are kept after an hour", kept)
		}
	})
}

// Requests of one owner come at the same time. It shows something with the race detector.
func TestManyReadAtOnce(t *testing.T) {
	m := known.New(known.Config{Bytes: 30_000}) // less than they send
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			r := reader{memory: m}
			for n := range 20 {
				body := `{"list":[` + long(16+(i+n)%8) + `]}`
				if got, err := r.read("a", body); err != nil || len(got.List) != 16+(i+n)%8 || got.List[5].Text != `5 " ]} \` {
					t.Errorf("%d elements, %v", len(got.List), err)
				}
			}
		})
	}
	all.Wait()
}

// Bodies that could be taken for something else than they are. Each is read with a memory that knows elements 0 to 19.
func TestAListIsTakenOnlyWhereItIsSure(t *testing.T) {
	all := long(20)
	for name, body := range map[string]string{
		"twice":                  `{"list":[` + all + `],"list":[{"text":"other"}]}`,
		"twice, the other first": `{"list":[{"text":"other"}],"list":[` + all + `]}`,
		"twice, spelt otherwise": `{"list":[` + all + `],"l\u0069st":[{"text":"other"},{"text":"another"}]}`,
		"deeper":                 `{"model":{"list":[` + all + `]},"list":[{"text":"other"}]}`,
		"in a string":            `{"model":"\"list\":[","list":[` + all + `]}`,
		"no list":                `{"list":{"0":[` + all + `]}}`,
		"null":                   `{"list":null,"other":[` + all + `]}`,
		"nulls between":          `{"list":[null,` + all + `,null]}`,
		"never kept":             `{"list":[{"text":"never"},` + all + `]}`,
		"white space":            " \n{ \"list\" :\t[ " + strings.ReplaceAll(all, "},{", "}\n , {") + " ] } ",
		"a mark":                 "\uFEFF" + `{"list":[` + all + `]}`,
		"cut off":                `{"list":[` + all,
		"cut off in a string":    `{"list":[` + all + `],"model":"m`,
		"no commas":              `{"list":[` + strings.ReplaceAll(all, "},{", "} {") + `]}`,
		"two commas":             `{"list":[` + strings.ReplaceAll(all, "},{", "},,{") + `]}`,
		"a comma at the end":     `{"list":[` + all + `,]}`,
		"more behind":            `{"list":[` + all + `]}]`,
		"a name behind":          `{"list":[` + strings.ReplaceAll(all, "},{", "}x,{") + `]}`,
		"a wrong type":           `{"list":[7,` + all + `]}`,
		"a wrong member":         `{"model":7,"list":[` + all + `]}`,
		"invalid":                `{"list":[` + all + `],"model":"` + "\x01" + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := reader{memory: known.New(known.Config{})}
			if _, err := r.read("a", `{"list":[`+all+`]}`); err != nil {
				t.Fatal(err)
			}
			compare(t, &r, body)
		})
	}
}

// compare reads body with the memory twice, and without one.
func compare(t *testing.T, r *reader, body string) {
	t.Helper()
	want, wantErr := (&reader{}).read("a", body)
	for range 2 {
		got, err := r.read("a", body)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("with a memory: %+v, %v\nwithout: %+v, %v", got, err, want, wantErr)
		}
	}
}

// Whatever was sent before, and whatever comes: the memory changes nothing.
func FuzzDecode(f *testing.F) {
	f.Add(`{"list":[{"text":"a"},{"text":"b"}]}`, `{"list":[{"text":"b"},{"text":"a"},{}],"model":"m"}`)
	f.Add(`{"list":["\\\"]",{"raw":[{}]}]}`, `{"list":[{"raw":[{}]},1],"list":[]}`)
	f.Add(`{"list":[{"raw":"]"}]}`, `{"list":[{"raw":"]"}{"raw":"]"}]}`)
	f.Fuzz(func(t *testing.T, before, body string) {
		r := reader{memory: known.New(known.Config{Least: 1})}
		padding := strings.Repeat(" ", 32) // short bodies aren't looked at
		r.read("a", before+padding)
		compare(t, &r, body+padding)
	})
}
