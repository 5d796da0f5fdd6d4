package imagefetch

import (
	"testing"
	"testing/synctest"

	"composer-api/internal/agent"
	"composer-api/internal/gateway/gate"
)

// An image that gets no turn in time is the server's lack of room, not the image's fault: neither one to be fetched nor
// one to be made smaller.
func TestWhoGetsNoTurnMayTryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(Config{PerOwner: 1})
		for g, all := range map[*gate.Gate]int64{f.fetching: 1, f.shrinking: f.cfg.MaxMemory} {
			leave, err := g.Enter(t.Context(), "ann", all)
			if err != nil {
				t.Fatal(err)
			}
			defer leave()
		}
		remote, inline := &agent.Image{URL: "http://192.0.2.1/a.png"}, &agent.Image{Data: noise(t, 800, 700)}
		messages := []agent.Message{{Parts: []agent.Part{{Image: remote}, {Image: inline}}}}
		if err := f.Fetch(t.Context(), "ann", messages); err != nil {
			t.Fatal(err)
		}
		for _, image := range []*agent.Image{remote, inline} {
			if image.Fault == nil || image.Fault.Code != agent.Overloaded || image.Fault.RetryAfter == 0 || image.Data != nil {
				t.Errorf("%q: %v", image.URL, image.Fault)
			}
		}
	})
}
