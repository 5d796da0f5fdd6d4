package sdkbridge

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"composer-api/conformance/harness"
)

// TestNothingOutsideIsNeeded runs gateway, bridge and simulator in a network that has no route: whatever wanted an address
// elsewhere would fail there. That no name is looked up is shown by backend/sdkbridge.
func TestNothingOutsideIsNeeded(t *testing.T) {
	harness.Bridge(t)
	harness.Offline(t, func(t *testing.T) {
		sim := harness.StartSim(t)
		sim.Play("turn always\ntext hello")
		g := gateway(t, sim, t.TempDir())
		resp := ask(t, g, "hi")
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), "hello") || !strings.Contains(string(text), "[DONE]") {
			t.Errorf("%s, %v: %s", resp.Status, err, text)
		}
		if upstream := resp.Header.Get("x-composer-upstream"); upstream != "sdkbridge" {
			t.Errorf("it came by %s", upstream)
		}
	})
}
