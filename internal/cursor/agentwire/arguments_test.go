package agentwire

import (
	"encoding/json"
	"math"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"
)

func TestNumbersAreWrittenAsClientsReadThem(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0", 1: "1", -2: "-2", 1e15: "1000000000000000", 0.5: "0.5", 1e21: "1e+21", -1e-7: "-1e-07",
		1 << 53: "9007199254740992", math.Inf(1): "null", math.NaN(): "null", math.Copysign(0, -1): "0",
	} {
		if got := string(appendNumber(nil, f)); got != want && !sameNumber(got, want) {
			t.Errorf("%v: got %s, want %s", f, got, want)
		}
	}
}

func sameNumber(a, b string) bool {
	var x, y float64
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && x == y
}

func FuzzArguments(f *testing.F) {
	f.Add(`{"a":1,"b":[null,true,"<x>"],"c":{"d":-0.25}}`)
	f.Fuzz(func(t *testing.T, source string) {
		var s structpb.Struct
		if s.UnmarshalJSON([]byte(source)) != nil {
			return
		}
		got := ArgumentsJSON(s.GetFields())
		if !json.Valid(got) {
			t.Fatalf("%s became %s", source, got)
		}
		var back structpb.Struct
		if err := back.UnmarshalJSON(got); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if again := ArgumentsJSON(back.GetFields()); string(again) != string(got) {
			t.Errorf("%s, read again, became %s", got, again)
		}
	})
}
