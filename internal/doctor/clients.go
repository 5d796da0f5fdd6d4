package doctor

import (
	"context"
	"fmt"
	"strings"
)

// clients looks at the files of those clients that were set up here or are installed.
func clients(_ context.Context, s *Subject, r *report) {
	var good, idle []string
	for _, c := range s.Clients {
		switch {
		// The order of the cases is from what stops a client to what is merely possible.
		case c.Problem != nil:
			r.broken("correct the file, then type 'composer-api setup "+c.Client.ID+"'", "the files of %s can't be read: %v", c.Client.Name, c.Problem)
		case c.Ours && !c.Points:
			r.warn("composer-api setup "+c.Client.ID, "%s was set up for another gateway, or its file was changed since", c.Client.Name)
		case c.OldToken:
			r.broken("composer-api setup "+c.Client.ID, "%s has a token that is no longer that of this machine", c.Client.Name)
		case c.Points:
			good = append(good, c.Client.Name)
		case c.Installed != "":
			idle = append(idle, c.Client.ID)
		}
	}
	// One line for all of them: a dozen "set up" would hide the one that is wrong.
	if len(good) > 0 {
		r.ok("set up: %s", strings.Join(good, ", "))
	}
	if len(idle) > 0 {
		r.add(Finding{Level: OK, Text: fmt.Sprintf("installed, and not set up: %s ('composer-api setup NAME' does it)", strings.Join(idle, ", "))})
	}
	// worst is "" as long as nothing was told at all.
	if len(good)+len(idle) == 0 && r.worst == "" {
		r.ok("none is installed that 'composer-api setup' knows")
	}
}
