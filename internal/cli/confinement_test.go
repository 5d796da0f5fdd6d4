package cli

import (
	"errors"
	"os"
	"strings"
	"testing"

	"composer-api/internal/config"
)

// A bridge is confined where the system can do it, and nobody is left in the dark about where it can't: the description is what
// 'upstream status' and the log show.
func TestABridgeIsConfinedOrItIsSaid(t *testing.T) {
	for _, c := range []struct {
		setting, kind string
		confined      bool
		how           string // its beginning
		refused       bool
	}{
		{"auto", "landlock", true, "landlock: it reads the system and its own folder", false},
		{"require", "landlock", true, "landlock: it reads the system and its own folder", false},
		{"off", "landlock", false, "off, by COMPOSER_SDK_BRIDGE_CONFINE", false},
		{"auto", "", false, "none: this system has no Landlock", false},
		{"off", "", false, "off, by COMPOSER_SDK_BRIDGE_CONFINE", false},
		{"require", "", false, "", true},
	} {
		launcher, how, err := confinement(&config.SDKBridge{Confine: c.setting}, c.kind)
		var wrong *config.Error
		switch {
		case c.refused != errors.As(err, &wrong) || c.refused && wrong.Name != "COMPOSER_SDK_BRIDGE_CONFINE":
			t.Errorf("%s on a system with %q: %v", c.setting, c.kind, err)
		case (launcher != nil) != c.confined || !strings.HasPrefix(how, c.how):
			t.Errorf("%s on a system with %q: launcher %q, %q", c.setting, c.kind, launcher, how)
		}
	}
}

// The file of a gateway that runs may be replaced by an upgrade, or deleted. Its bridges are still confined by itself.
func TestABridgeIsConfinedByTheProgramThatRuns(t *testing.T) {
	if _, err := os.Stat("/proc/self/exe"); err != nil {
		t.Skip("this system has no such name for a program that runs")
	}
	launcher, _, err := confinement(&config.SDKBridge{Confine: "auto"}, "landlock")
	if err != nil || launcher[0] != "/proc/self/exe" {
		t.Errorf("it is started as %q, %v", launcher, err)
	}
}
