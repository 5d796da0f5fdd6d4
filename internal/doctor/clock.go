package doctor

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"
)

// How far this machine's clock may be from Cursor's. Certificates and access tokens are good for a time only.
const (
	clockOff   = time.Minute     // is told
	clockWrong = 5 * time.Minute // breaks something
)

// clock compares this machine's clock with the Date of the answers. It does so before TLS is looked at, because a wrong clock
// makes certificates look wrong, too; so it asks for no certificate. No key is sent on these connections.
func clock(ctx context.Context, s *Subject, r *report) {
	// The first address that answers with a date is enough.
	for _, t := range s.targets() {
		resp, err := ask(ctx, s.Network.transport(&tls.Config{InsecureSkipVerify: true}, nil), &t)
		if err != nil {
			continue // tls, which comes next, says why
		}
		// A proxy's own answer has its own clock, which is as good.
		there, err := http.ParseTime(resp.Header.Get("Date"))
		if err != nil {
			continue // not every server has a clock
		}
		// The header has whole seconds, so less than one says nothing.
		off := s.Network.now().Sub(there).Truncate(time.Second)
		direction := "fast"
		if off < 0 {
			off, direction = -off, "slow"
		}
		const cure = "set the clock: 'sudo timedatectl set-ntp true' on Linux, 'sudo sntp -sS time.apple.com' on macOS, 'w32tm /resync' on Windows"
		switch {
		case off > clockWrong:
			r.broken(cure, "this machine's clock is %v %s, says %s", off, direction, t.name())
		case off > clockOff:
			r.warn(cure, "this machine's clock is %v %s, says %s", off, direction, t.name())
		default:
			r.ok("right, says %s", t.name())
		}
		return // one clock to compare with is enough
	}
	r.ok("nobody to compare it with")
}
