package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// parse parses args into a Config over the given environment and files.
func parse(t *testing.T, environ []string, files map[string]string, args ...string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env, err := NewEnv(environ, dir)
	if err != nil {
		return nil, err
	}
	var cfg Config
	parser, err := kong.New(&cfg, kong.Resolvers(env))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return &cfg, err
}

func TestDefaults(t *testing.T) {
	cfg, err := parse(t, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Addr != "127.0.0.1:8787" || cfg.ParkTimeout != 10*time.Minute || cfg.Settle != 200*time.Millisecond || cfg.ClientVersion != "2.6.22" {
		t.Errorf("defaults are %+v", cfg)
	}
	if cfg.LocalAgentOn() || cfg.ChatOn() {
		t.Error("an upstream is on by default")
	}
}

func TestFlagsBeatEnvironmentBeatsDevVarsBeatsDotenv(t *testing.T) {
	files := map[string]string{
		".dev.vars": "COMPOSER_ADDR=devvars:1\nCOMPOSER_SETTLE=2s\nCOMPOSER_GRACE=2s\n",
		".env":      "COMPOSER_ADDR=dotenv:1\nCOMPOSER_SETTLE=3s\nCOMPOSER_GRACE=3s\nCOMPOSER_STALL_TIMEOUT=3s\n",
	}
	environ := []string{"COMPOSER_ADDR=environ:1", "COMPOSER_SETTLE=1s", "COMPOSER_GRACE="}
	cfg, err := parse(t, environ, files, "--addr=flag:1")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Addr != "flag:1" || cfg.Settle != time.Second || cfg.Grace != 2*time.Second || cfg.StallTimeout != 3*time.Second {
		t.Errorf("addr %s (want the flag's), settle %s (want the environment's), grace %s (want .dev.vars'), stall %s (want .env's)",
			cfg.Addr, cfg.Settle, cfg.Grace, cfg.StallTimeout)
	}
}

func TestAnAddressMayBeAPortAlone(t *testing.T) {
	for given, want := range map[string]Address{"21511": "127.0.0.1:21511", ":21511": ":21511", "localhost:1": "localhost:1"} {
		for _, how := range []string{"flag", "variable"} {
			environ, args := []string{"COMPOSER_ADDR=" + given}, []string(nil)
			if how == "flag" {
				environ, args = nil, []string{"--addr", given}
			}
			if cfg, err := parse(t, environ, nil, args...); err != nil || cfg.Addr != want {
				t.Errorf("%s %s is %q, %v; want %q", how, given, cfg.Addr, err, want)
			}
		}
	}
}

func TestNetworks(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "[]",
		"10.0.0.0/8":            "[10.0.0.0/8]",
		"10.1.2.3/8, 127.0.0.1": "[10.0.0.0/8 127.0.0.1/32]",
		"::1,fd00::/8":          "[::1/128 fd00::/8]",
	} {
		cfg, err := parse(t, []string{"COMPOSER_TRUSTED_PROXIES=" + text}, nil)
		if err != nil || fmt.Sprint(cfg.TrustedProxies) != want {
			t.Errorf("%q: %v, %v; want %s", text, cfg.TrustedProxies, err, want)
		}
	}
	if _, err := parse(t, []string{"COMPOSER_TRUSTED_PROXIES=everybody"}, nil); err == nil {
		t.Error("everybody is a network")
	}
}

func TestThePublicURL(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 " [gw.example]",
		"https://API.example/":             "https://API.example [gw.example api.example]",
		"http://api.example:8080/composer": "http://api.example:8080/composer [gw.example api.example]",
	} {
		cfg, err := parse(t, []string{"COMPOSER_PUBLIC_URL=" + text, "COMPOSER_ALLOWED_HOSTS=gw.example"}, nil)
		if got := fmt.Sprint(cfg.PublicURL, " ", cfg.Names()); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"api.example", "ftp://api.example", "https://api.example/v1", "https://api.example/v1/", "https://a@api.example", "https://api.example?a", "https://api.example#a"} {
		if _, err := parse(t, []string{"COMPOSER_PUBLIC_URL=" + text}, nil); err == nil || !strings.Contains(err.Error(), "COMPOSER_PUBLIC_URL") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	tests := []struct {
		base, endpoint, want string
		on                   bool
	}{
		{"", "", "", false},
		{"https://b.example", "", "", false},
		{"", "/agent/run", "", false},
		{"https://b.example/", "agent/run", "https://b.example/agent/run", true},
		{"https://b.example/v", "/agent/run", "https://b.example/v/agent/run", true},
		{"https://b.example", "http://other.example/run", "http://other.example/run", true},
		{"", "http://other.example/run", "http://other.example/run", true},
	}
	for _, tt := range tests {
		cfg, err := parse(t, []string{"CURSOR_BACKEND_BASE_URL=" + tt.base, "CURSOR_LOCAL_AGENT_ENDPOINT=" + tt.endpoint, "CURSOR_CHAT_ENDPOINT=" + tt.endpoint}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.LocalAgentOn() != tt.on || cfg.ChatOn() != tt.on {
			t.Errorf("base %q, endpoint %q: on %t and %t, want %t", tt.base, tt.endpoint, cfg.LocalAgentOn(), cfg.ChatOn(), tt.on)
		}
		if tt.on && (cfg.LocalAgentURL() != tt.want || cfg.ChatURL() != tt.want) {
			t.Errorf("base %q, endpoint %q: %s and %s, want %s", tt.base, tt.endpoint, cfg.LocalAgentURL(), cfg.ChatURL(), tt.want)
		}
	}
}

func TestAGatewayIsReachedAtAnAddressOrAURL(t *testing.T) {
	for given, want := range map[string]Root{
		"8787": "http://127.0.0.1:8787", ":8787": "http://127.0.0.1:8787", "0.0.0.0:1": "http://127.0.0.1:1", "[::]:1": "http://127.0.0.1:1",
		"localhost:1": "http://localhost:1", "[::1]:1": "http://[::1]:1", "https://ai.example": "https://ai.example",
		"https://ai.example/composer/v1/": "https://ai.example/composer", "http://10.0.0.1:8787/v1": "http://10.0.0.1:8787",
		"https://ai.example/a%2Fb/": "https://ai.example/a%2Fb",
	} {
		var got Root
		if err := got.UnmarshalText([]byte(given)); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", given, got, err, want)
		}
	}
	for _, wrong := range []string{"ftp://ai.example", "https://", "https://me:secret@ai.example", "https://ai.example?a=1", "https://ai.example#a", "://"} {
		var got Root
		if err := got.UnmarshalText([]byte(wrong)); err == nil {
			t.Errorf("%s is taken for %q", wrong, got)
		}
	}
	for root, local := range map[Root]bool{
		"http://127.0.0.1:8787": true, "http://localhost:1": true, "http://[::1]:1": true, "https://ai.example": false, "http://10.0.0.1": false, "http://localhost.ai.example": false,
	} {
		if root.Local() != local {
			t.Errorf("%s is local: %v", root, !local)
		}
	}
}

func TestAWholeAddressIsKeptToTheLetterAndABaseHasNoSlash(t *testing.T) {
	cfg, err := parse(t, []string{"COMPOSER_WAITLIST_URL=https://list.example/join/", "CURSOR_BACKEND_BASE_URL=https://b.example/"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.WaitlistURL != "https://list.example/join/" || cfg.BackendBase != "https://b.example" {
		t.Errorf("%s and %s", cfg.WaitlistURL, cfg.BackendBase)
	}
	if _, err := parse(t, []string{"COMPOSER_WAITLIST_URL=list.example"}, nil); err == nil {
		t.Error("an address without a scheme is accepted")
	}
}

func TestABadValueNamesItsVariableAndWhereItWasSet(t *testing.T) {
	tests := []struct {
		name     string
		environ  []string
		files    map[string]string
		wantName string
		want     string
	}{
		{"duration without a unit", []string{"COMPOSER_SETTLE=30"}, nil, "COMPOSER_SETTLE", "COMPOSER_SETTLE (environment): has no unit: write 30s for seconds, 30ms for milliseconds or 30m for minutes"},
		{"duration", []string{"COMPOSER_SETTLE=soon"}, nil, "COMPOSER_SETTLE", "COMPOSER_SETTLE (environment): is not a duration such as 30s or 10m"},
		{"number", nil, map[string]string{".env": "\nCOMPOSER_SIGNUP_LIMIT=many"}, "COMPOSER_SIGNUP_LIMIT", "COMPOSER_SIGNUP_LIMIT (.env line 2): is not a whole number"},
		{"large number", []string{"COMPOSER_MAX_TOKENS=many"}, nil, "COMPOSER_MAX_TOKENS", "COMPOSER_MAX_TOKENS (environment): is not a whole number"},
		{"amount", nil, map[string]string{".env": "COMPOSER_MAX_COST=$5"}, "COMPOSER_MAX_COST", "COMPOSER_MAX_COST (.env line 1): is not a number"},
		{"level", nil, map[string]string{".dev.vars": "COMPOSER_LOG=loud"}, "COMPOSER_LOG", "COMPOSER_LOG (.dev.vars line 1): is not a log level: use debug, info, warn or error"},
		{"choice", []string{"COMPOSER_UPSTREAM=magic"}, nil, "COMPOSER_UPSTREAM", "COMPOSER_UPSTREAM (environment): must be one of sdkbridge,localagent,chat"},
		{"address", []string{"CURSOR_BACKEND_BASE_URL=user:hunter2@b.example"}, nil, "CURSOR_BACKEND_BASE_URL", "CURSOR_BACKEND_BASE_URL (environment): is not an http:// or https:// address"},
		{"aliases", []string{"COMPOSER_ALIASES=gpt-4=*"}, nil, "COMPOSER_ALIASES", "COMPOSER_ALIASES (environment): is not a list of names such as gpt-*=composer-2.5,claude-*=composer-2.5"},
		{"hosts", []string{"COMPOSER_ALLOWED_HOSTS=https://gateway.example"}, nil, "COMPOSER_ALLOWED_HOSTS", "COMPOSER_ALLOWED_HOSTS (environment): is not a list of host names such as gateway.example: leave out http:// and paths"},
		{"upstream that is off", []string{"COMPOSER_UPSTREAM=chat"}, nil, "COMPOSER_UPSTREAM", "COMPOSER_UPSTREAM: asks for chat, which is not configured"},
		{"broken file", nil, map[string]string{".dev.vars": "ENCRYPTION_KEY=\"hunter2"}, ".dev.vars", ".dev.vars: line 1 has a quote that never ends"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.environ, tt.files)
			var bad *Error
			if !errors.As(err, &bad) {
				t.Fatalf("error %v, want a *config.Error", err)
			}
			if bad.Name != tt.wantName || bad.Error() != tt.want {
				t.Errorf("%s: %q, want %s: %q", bad.Name, bad.Error(), tt.wantName, tt.want)
			}
			if bad.Hint == "" {
				t.Error("no hint")
			}
			if strings.Contains(err.Error()+bad.Hint, "hunter2") {
				t.Errorf("the error shows the value: %v", err)
			}
		})
	}
}

func TestASettingThatCannotBeMeantIsRefused(t *testing.T) {
	for flag, want := range map[string]string{
		"--addr=":                       "COMPOSER_ADDR: is empty",
		"--grace=-1s":                   "COMPOSER_GRACE: is less than 0",
		"--max-cost=-1":                 "COMPOSER_MAX_COST: is less than 0",
		"--max-cost=NaN":                "COMPOSER_MAX_COST: is less than 0",
		"--key-max-turns=-1":            "COMPOSER_KEY_MAX_TURNS: is less than 0",
		"--max-requests=-1":             "COMPOSER_MAX_REQUESTS: is less than 0",
		"--max-requests-per-key=-1":     "COMPOSER_MAX_REQUESTS_PER_KEY: is less than 0",
		"--max-messages=0":              "COMPOSER_MAX_MESSAGES: must be more than 0",
		"--max-schema-bytes=-1":         "COMPOSER_MAX_SCHEMA_BYTES: must be more than 0",
		"--body-memory=-1":              "COMPOSER_BODY_MEMORY: is less than 0",
		"--upstream=chat":               "COMPOSER_UPSTREAM: asks for chat, which is not configured",
		"--park-timeout=-1s":            "COMPOSER_PARK_TIMEOUT: must be more than 0",
		"--settle=0s":                   "COMPOSER_SETTLE: must be more than 0",
		"--start-timeout=0s":            "COMPOSER_START_TIMEOUT: must be more than 0",
		"--stall-timeout=0s":            "COMPOSER_STALL_TIMEOUT: must be more than 0",
		"--progress-timeout=-1ns":       "COMPOSER_PROGRESS_TIMEOUT: must be more than 0",
		"--signup-limit=-1":             "COMPOSER_SIGNUP_LIMIT: is less than 0",
		"--grace=0s --max-requests=0":   "none",
		"--signup-limit=0 --settle=1ns": "none",
	} {
		_, err := parse(t, nil, nil, strings.Fields(flag)...)
		var bad *Error
		switch {
		case want == "none":
			if err != nil {
				t.Errorf("%s: %v", flag, err)
			}
		case err == nil:
			t.Errorf("%s is accepted", flag)
		case !errors.As(err, &bad) || bad.Error() != want || bad.Hint == "":
			t.Errorf("%s: %v, want %q and a hint", flag, err, want)
		}
	}
}

func TestSecretsComeByVariableOnlyAndDoNotPrint(t *testing.T) {
	cfg, err := parse(t, []string{"ENCRYPTION_KEY=hunter2"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.EncryptionKey.Reveal() != "hunter2" || cfg.EncryptionKey.String() == "hunter2" {
		t.Errorf("the key is %s", cfg.EncryptionKey)
	}
	_, err = parse(t, nil, nil, "--encryption-key=hunter2")
	var bad *Error
	if !errors.As(err, &bad) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret as a flag: error %v", err)
	}
}

// TestEverySettingHasASentenceAndAVariable holds the rule that the tags are the documentation.
func TestEverySettingHasASentenceAndAVariable(t *testing.T) {
	var walk func(reflect.Type)
	seen := make(map[string]bool)
	walk = func(group reflect.Type) {
		for i := range group.NumField() {
			f := group.Field(i)
			if f.Anonymous {
				walk(f.Type)
				continue
			}
			name, help := f.Tag.Get(VarTag), f.Tag.Get("help")
			if name == "" || seen[name] || !strings.HasSuffix(help, ".") {
				t.Errorf("%s.%s: variable %q, help %q", group.Name(), f.Name, name, help)
			}
			seen[name] = true
			if secret := f.Type == reflect.TypeFor[Secret](); secret != hasTag(f, "hidden") {
				t.Errorf("%s.%s: a secret, and only a secret, has a hidden flag", group.Name(), f.Name)
			}
			if f.Type == reflect.TypeFor[Secret]() && !HoldsSecret(name) {
				t.Errorf("%s.%s: %s is a secret, and its name says so to nobody: see secretNames", group.Name(), f.Name, name)
			}
			// A flag is named for its variable: COMPOSER_PARK_TIMEOUT is --park-timeout.
			flag := f.Tag.Get("name")
			if want := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "COMPOSER_"), "_", "-")); flag != "" && flag != want {
				t.Errorf("%s.%s: flag --%s, want --%s", group.Name(), f.Name, flag, want)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

func hasTag(f reflect.StructField, name string) bool {
	_, ok := f.Tag.Lookup(name)
	return ok
}

func TestStateDir(t *testing.T) {
	for _, tt := range []struct {
		goos    string
		environ []string
		want    string // without composer-api; "" is an error
	}{
		{"linux", []string{"XDG_STATE_HOME=/state", "HOME=/ann"}, "/state"},
		{"linux", []string{"HOME=/ann"}, "/ann/.local/state"},
		{"linux", []string{"home=/ann"}, ""},
		{"darwin", []string{"HOME=/ann"}, "/ann/Library/Application Support"},
		// Windows lists the name in capitals, and some programs set it in small letters.
		{"windows", []string{"=C:=/x", "LOCALAPPDATA=/ann/AppData/Local", "USERPROFILE=/ann"}, "/ann/AppData/Local"},
		{"windows", []string{"LocalAppData=/ann/AppData/Local"}, "/ann/AppData/Local"},
		{"windows", []string{"UserProfile=/ann"}, "/ann/AppData/Local"},
		{"windows", []string{"HOME=/c/ann"}, "/c/ann/.local/state"},
		{"windows", nil, ""},
	} {
		env, err := newEnv(tt.goos, tt.environ, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		dir, err := env.StateDir()
		var bad *Error
		switch {
		case tt.want == "" && !errors.As(err, &bad), tt.want != "" && dir != filepath.Join(filepath.FromSlash(tt.want), "composer-api"):
			t.Errorf("%s with %q: %s, %v", tt.goos, tt.environ, dir, err)
		}
	}
}

func TestWindowsTakesVariablesInUpperAndLowerCase(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("composer_log=warn\nComposer_Grace=3s"), 0o600); err != nil {
		t.Fatal(err)
	}
	for goos, want := range map[string][3]string{"windows": {"1:1", "warn", "3s"}, "linux": {}} {
		env, err := newEnv(goos, []string{"Composer_Addr=1:1", "composer_addr=2:2"}, dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]string{env.Get("COMPOSER_ADDR"), env.Get("COMPOSER_LOG"), env.Get("COMPOSER_GRACE")}; got != want {
			t.Errorf("%s: %q, want %q", goos, got, want)
		}
		if w := env.Misspelt([]string{"COMPOSER_ADDR", "COMPOSER_LOG", "COMPOSER_GRACE"}); len(w) > 0 {
			t.Errorf("%s warns: %v", goos, w)
		}
	}
}
