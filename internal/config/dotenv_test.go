package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDotenv(t *testing.T) {
	tests := []struct {
		name, text string
		want       []assignment
	}{
		{"nothing", "", nil},
		{"bare", "A=b", []assignment{{"A", "b", 1}}},
		{"blanks around", "  A = b c  \n", []assignment{{"A", "b c", 1}}},
		{"export", "export A=b", []assignment{{"A", "b", 1}}},
		{"comments and blank lines", "# one\n\nA=b # two\n  # three", []assignment{{"A", "b", 3}}},
		{"a hash in quotes is no comment", `A="b # c" # d`, []assignment{{"A", "b # c", 1}}},
		{"a dollar is an ordinary character", `A="pa$$word$HOME"`, []assignment{{"A", "pa$$word$HOME", 1}}},
		{"single quotes keep backslashes", `A='b\nc'`, []assignment{{"A", `b\nc`, 1}}},
		{"double quotes know line breaks", `A="b\nc"`, []assignment{{"A", "b\nc", 1}}},
		{"a value over two lines", "A=\"b\nc\"\nD=e", []assignment{{"A", "b\nc", 1}, {"D", "e", 3}}},
		{"back quotes", "A=`b'\"c`", []assignment{{"A", `b'"c`, 1}}},
		{"an escaped quote does not end the value", `A="b\"c"`, []assignment{{"A", `b\"c`, 1}}},
		{"empty values", "A=\nB=''", []assignment{{"B", "", 2}, {"A", "", 1}}},
		{"Windows line ends", "A=b\r\nC=d\r\n", []assignment{{"C", "d", 2}, {"A", "b", 1}}},
		{"the last of two counts", "A=1\nA=2", []assignment{{"A", "2", 2}}},
		{"an equals sign in the value", "A=b=c==", []assignment{{"A", "b=c==", 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseDotenv(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			byName := cmp.Transformer("byName", func(all []assignment) map[string]assignment {
				m := make(map[string]assignment)
				for _, a := range all {
					m[a.name] = a
				}
				return m
			})
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(assignment{}), byName); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDotenvErrorsNameTheLineAndShowNothingOfIt(t *testing.T) {
	for text, want := range map[string]string{
		"A=b\nhunter2":          "line 2 is not an assignment",
		"A=\"hunter2":           "line 1 has a quote that never ends",
		"\nA=\"hunter\" hunter": "line 2 goes on after its value's closing quote",
		"-A=hunter2":            "line 1 is not an assignment",
	} {
		_, err := parseDotenv(text)
		if err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}

func FuzzDotenv(f *testing.F) {
	for _, seed := range []string{"A=b", "A=\"b\nc\"\nD=e", "export A = `x` # y", "A='\\", "\r\n=", "A=\"$B\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		assignments, err := parseDotenv(text)
		if err != nil {
			return
		}
		lines := strings.Count(text, "\n") + 1
		for _, a := range assignments {
			if a.name == "" || a.line < 1 || a.line > lines {
				t.Errorf("assignment %+v of %d lines", a, lines)
			}
		}
	})
}
