package cli

import (
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
)

// A screen shows one page after the other: in a terminal in the same place, elsewhere one below the other.
type screen struct {
	// w is the command's stdout. Its errors are returned by show alone.
	w io.Writer
	// terminal says that w understands the sequences below.
	terminal bool
}

// The terminal's control sequences. Source: ECMA-48; Windows' own terminal knows them, too.
const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	clearAll   = "\x1b[2J"
	home       = "\x1b[H"
	clearLine  = "\x1b[K" // to the end of the line
	clearBelow = "\x1b[J"
)

// newScreen makes a screen of w. The caller closes it, so that the cursor comes back.
func newScreen(w io.Writer) *screen {
	file, ok := w.(*os.File)
	s := &screen{w, ok && isatty.IsTerminal(file.Fd())}
	if s.terminal {
		io.WriteString(w, hideCursor+clearAll)
	}
	return s
}

// show shows a page. Each line is written over the one that was there, so that nothing flickers.
func (s *screen) show(page string) error {
	if s.terminal {
		// What is left of a longer line, or of a longer page, is cleared behind the new one.
		page = home + strings.ReplaceAll(page, "\n", clearLine+"\n") + clearBelow
	}
	_, err := io.WriteString(s.w, page)
	return err
}

// close gives the terminal back.
func (s *screen) close() {
	if s.terminal {
		io.WriteString(s.w, showCursor)
	}
}
