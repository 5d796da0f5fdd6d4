package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// root is the conformance module's folder: the parent of the folder of the package under test, in which go test starts
// it. A source file's name would not do: with -trimpath it is no path.
var root = sync.OnceValue(func() string {
	folder, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return filepath.Dir(folder)
})

// BinaryVariable names the environment variable that holds the path of a binary to test. Without it, every test process
// builds one.
const BinaryVariable = "COMPOSER_API_BINARY"

// build builds the binary once for each test process. Its folder is removed by Main.
var build = sync.OnceValues(func() (string, error) {
	if given := os.Getenv(BinaryVariable); given != "" {
		return filepath.Abs(given)
	}
	folder, err := os.MkdirTemp("", "composer-api-conformance-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(folder, "composer-api")
	// As a release is built: without C.
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/composer-api")
	cmd.Dir = filepath.Dir(root())
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return binary, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
})

// Binary is the path of the binary, for scripts that run it themselves.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Main is a package's TestMain: it builds the binary, runs the tests, and removes the binary.
func Main(m *testing.M) {
	os.Exit(run(m))
}

// run is Main with an exit code, so that its deferred calls happen.
func run(m *testing.M) int {
	binary, err := build()
	if binary != "" && os.Getenv(BinaryVariable) == "" {
		defer os.RemoveAll(filepath.Dir(binary))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
