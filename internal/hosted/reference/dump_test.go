package reference

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A semicolon within quotes or a comment ends nothing, and lines are counted through all of them.
func TestStatementsAreSplit(t *testing.T) {
	in := &statements{r: bufio.NewReader(strings.NewReader("-- a comment; with one\nA 'x;''y\n;';\n\n  B \"t;\" - 1 -- end;\n;;\n;C")), line: 1}
	var got []string
	var lines []int
	for {
		text, line, err := in.next()
		if err != nil {
			if err == io.EOF || line != 7 {
				t.Errorf("%v on line %d", err, line)
			}
			break
		}
		got, lines = append(got, text), append(lines, line)
	}
	if diff := cmp.Diff([]string{"A 'x;''y\n;'", "B \"t;\" - 1"}, got); diff != "" || lines[0] != 2 || lines[1] != 5 {
		t.Errorf("lines %v (-want +got)\n%s", lines, diff)
	}
}

// Whatever the file holds, it is read to its end or refused.
func FuzzStatements(f *testing.F) {
	f.Add("INSERT INTO accounts VALUES('a''b;', NULL); -- x\n;")
	f.Add("\"'`")
	f.Fuzz(func(t *testing.T, text string) {
		in := &statements{r: bufio.NewReader(strings.NewReader(text)), line: 1}
		last := 1
		for {
			statement, line, err := in.next()
			if errors.Is(err, io.EOF) || err != nil {
				return
			}
			if strings.TrimSpace(statement) == "" || line < last || line > strings.Count(text, "\n")+1 {
				t.Fatalf("%q on line %d after %d", statement, line, last)
			}
			last = line
		}
	})
}
