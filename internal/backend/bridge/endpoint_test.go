package bridge

import "testing"

func TestTheBridgesAddressMayHoldItsPath(t *testing.T) {
	for url, want := range map[string]string{
		"http://bridge.test":           "http://bridge.test/sdk",
		"http://bridge.test/":          "http://bridge.test/sdk",
		"http://bridge.test/sdk":       "http://bridge.test/sdk",
		"http://bridge.test/sdk/":      "http://bridge.test/sdk",
		"https://bridge.test/deep/sdk": "https://bridge.test/deep/sdk",
		"https://bridge.test/deep":     "https://bridge.test/deep/sdk",
		"https://sdk":                  "https://sdk/sdk",
	} {
		if got := New(Config{URL: url}).url; got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}
