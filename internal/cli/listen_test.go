package cli_test

import (
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// Whoever starts a second gateway is told that the first one may be what listens there.
func TestAPortThatIsTakenIsToldAsThat(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows' number for it is another one, and the hint there the general one")
	}
	taken := httptest.NewServer(nil)
	t.Cleanup(taken.Close)
	addr := taken.Listener.Addr().String()
	environ := []string{"HOME=" + t.TempDir()}
	for name, tt := range map[string]struct {
		args []string
		cure string
	}{
		"the API":         {[]string{"serve", "--demo", "--addr=" + addr}, "choose another address with --addr or COMPOSER_ADDR"},
		"the metrics":     {[]string{"serve", "--demo", "--addr=127.0.0.1:0", "--metrics-addr=" + addr}, "choose another address with --metrics-addr or COMPOSER_METRICS_ADDR"},
		"the simulator":   {[]string{"sim", "--addr=" + addr}, "choose another address with --addr"},
		"the simulator's": {[]string{"sim", "--addr=127.0.0.1:0", "--tls-addr=" + addr}, "choose another address with --tls-addr"},
	} {
		_, said, code := run(t, environ, tt.args...)
		if code != 1 || !strings.Contains(said, "can't listen") || !strings.Contains(said, "hint: another program listens there, perhaps a gateway") || !strings.Contains(said, tt.cure) {
			t.Errorf("%s: %d\n%s", name, code, said)
		}
	}
}
