package cli

import (
	"testing"

	"github.com/alecthomas/kong"

	"composer-api/internal/backend/chat"
	"composer-api/internal/backend/localagent"
	"composer-api/internal/backend/retry"
	"composer-api/internal/backend/sdkbridge"
	"composer-api/internal/config"
	"composer-api/internal/cursor/agentwire"
)

// TestDefaultsAreTheBackendsOwn compares the defaults that the help text shows with the constants that they repeat.
func TestDefaultsAreTheBackendsOwn(t *testing.T) {
	var serve config.Config
	var bridge config.Bridge
	for _, c := range []any{&serve, &bridge} {
		parser, err := kong.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []struct {
		name      string
		got, want any
	}{
		{"COMPOSER_START_TIMEOUT", serve.StartTimeout, retry.StartTimeout},
		{"COMPOSER_STALL_TIMEOUT", serve.StallTimeout, retry.StallTimeout},
		{"COMPOSER_PROGRESS_TIMEOUT", serve.ProgressTimeout, retry.ProgressTimeout},
		{"COMPOSER_SETTLE", serve.Settle, localagent.DefaultSettle},
		{"COMPOSER_SDK_BRIDGE_MAX", serve.SDKBridge.Max, sdkbridge.DefaultMaxBridges},
		{"COMPOSER_SDK_BRIDGE_RECYCLE", serve.SDKBridge.Recycle, sdkbridge.DefaultRecycleRuns},
		{"COMPOSER_SDK_BRIDGE_MEMORY", serve.SDKBridge.Memory << 20, sdkbridge.DefaultRecycleMemory},
		{"CURSOR_CLIENT_VERSION", serve.ClientVersion, chat.DefaultClientVersion},
		{"CURSOR_SDK_CLIENT_VERSION", serve.SDKClientVersion, agentwire.DefaultClientVersion},
		{"CURSOR_SDK_CLIENT_VERSION of the bridge", bridge.SDKClientVersion, agentwire.DefaultClientVersion},
	} {
		if d.got != d.want {
			t.Errorf("%s is %v by default, the backend's own default is %v", d.name, d.got, d.want)
		}
	}
}
