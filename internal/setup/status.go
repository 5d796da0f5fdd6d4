package setup

import (
	"os"
	"regexp"
	"strings"

	"composer-api/internal/setup/configfile"
)

// A State is how a client stands to the gateway.
//
//	Ours  Intact  Points   for people
//	yes   yes     yes      set up
//	yes   no      yes      set up, and changed since
//	yes   any     no       set up for another gateway, or changed since
//	no            yes      somebody has set it up by hand
type State struct {
	// Client is which one it is about.
	Client    Client
	Installed string // where; "" when it isn't to be found
	// Ours says that we have set it up, and Intact that all of what we have set is still so.
	Ours, Intact bool
	// Points says that its files name the gateway's address, whoever has written it there.
	Points bool
	// OldToken says that they hold a local token which is no longer the gateway's.
	OldToken bool
	// Problem is why its files can't be read.
	Problem error
}

// Look looks at a client without changing anything. g may have any models; its token,
// if it has one, is that of now.
//
// It goes by the address alone where the client was set up by hand: whether the rest of the file
// works is found out by Verify.
func Look(m *Machine, c Client, g *Gateway) State {
	s := State{Client: c, Installed: c.Installed(m)}
	r, err := readRecord(m, c.ID)
	if err != nil {
		s.Problem = err
		return s
	}
	s.Ours, s.Intact = len(r.Files) > 0, true
	for _, f := range r.Files {
		s.Intact = s.Intact && f.intact()
	}
	for _, f := range c.target(m, g).files {
		// A file that isn't there or can't be read points nowhere.
		data, err := os.ReadFile(f.path)
		if err == nil && strings.Contains(string(data), g.Root) {
			s.Points = true
			for _, found := range token.FindAllString(string(data), -1) {
				s.OldToken = s.OldToken || !g.Token.IsZero() && found != g.Token.Reveal()
			}
		}
	}
	return s
}

// intact reports whether all values that we have set are still ours.
//
// Values are compared and not the file: people may change everything else in it.
func (f *fileRecord) intact() bool {
	data, err := os.ReadFile(f.Path)
	if err != nil {
		return false
	}
	for _, v := range f.Values {
		here, ok, err := configfile.Get(f.Format, string(data), v.Path)
		if err != nil || !ok || here != configfile.Canonical(v.Ours) && !v.Theirs {
			return false
		}
	}
	return true
}

// token matches local tokens.
//
// The prefix and 32 random bytes in base64 without padding; see package localtoken.
var token = regexp.MustCompile(`composer-[A-Za-z0-9_-]{43}`)

// maskTokens hides local tokens, of which an old one may stand in a file.
func maskTokens(text string) string { return token.ReplaceAllString(text, "composer-…") }
