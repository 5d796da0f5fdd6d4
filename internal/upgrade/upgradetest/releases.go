// Package upgradetest has a web server with releases, for tests of upgrades. It makes real archives, checksums and signatures,
// and can spoil each of them.
package upgradetest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"aead.dev/minisign"
)

// Releases are files as GitHub has them, at the addresses that package upgrade knows. Its methods may be called
// concurrently.
type Releases struct {
	// URL is the address that they lie below.
	URL string
	// Key is the public key that they are signed with.
	Key string

	// secret signs them. It is made again for each test.
	secret minisign.PrivateKey

	// The clients are often processes of their own, so nothing but the lock puts their requests behind a change of the files.
	mu    sync.Mutex
	files map[string][]byte // by path
	torn  map[string]bool   // by path
}

// Start makes a server without a release, which ends with the test.
func Start(t testing.TB) *Releases {
	public, secret, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &Releases{Key: public.String(), secret: secret, files: map[string][]byte{}, torn: map[string]bool{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// ServeHTTP answers with a file.
func (r *Releases) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	data, ok := r.files[req.URL.Path]
	torn := r.torn[req.URL.Path]
	r.mu.Unlock()
	if !ok {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if torn {
		data = data[:len(data)/2] // net/http closes the connection for what is missing
	}
	_, _ = w.Write(data)
}

// Publish makes a release of a version (v1.2.3) the newest, whose program has the given content on every system.
func (r *Releases) Publish(version string, program string) {
	var sums strings.Builder
	for _, system := range []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64", "windows_amd64", "windows_arm64"} {
		file, data := "composer-api_"+strings.TrimPrefix(version, "v")+"_"+system+".tar.gz", tarOf(program)
		if strings.HasPrefix(system, "windows") {
			file, data = strings.TrimSuffix(file, ".tar.gz")+".zip", zipOf(program)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), file)
		r.set("/download/"+version+"/"+file, data)
	}
	r.Sign(sums.String())
}

// Sign makes a text the checksums of the newest release, and signs it.
func (r *Releases) Sign(checksums string) {
	r.set("/latest/download/checksums.txt", []byte(checksums))
	r.set("/latest/download/checksums.txt.minisig", minisign.Sign(r.secret, []byte(checksums)))
}

// set puts a file in its place.
func (r *Releases) set(path string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[path] = data
}

// Change puts other bytes in the place of those of the files whose path ends so. Nothing is signed again.
func (r *Releases) Change(ending string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for path := range r.files {
		if strings.HasSuffix(path, ending) {
			r.files[path] = data
		}
	}
}

// Tear ends the download of the files whose path ends so in the middle.
func (r *Releases) Tear(ending string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for path := range r.files {
		if strings.HasSuffix(path, ending) {
			r.torn[path] = true
		}
	}
}

// readme stands in each archive before the program, as the real ones have other files, too.
const readme = "Read me."

// tarOf is an archive of a release for Unix, with a program of that text.
func tarOf(program string) []byte {
	var out bytes.Buffer
	plain := gzip.NewWriter(&out)
	files := tar.NewWriter(plain)
	for _, f := range []struct{ name, text string }{{"README.md", readme}, {"composer-api", program}} {
		// Nothing that is written into memory fails.
		_ = files.WriteHeader(&tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.text))})
		_, _ = files.Write([]byte(f.text))
	}
	_ = files.Close()
	_ = plain.Close()
	return out.Bytes()
}

// zipOf is the same for Windows.
func zipOf(program string) []byte {
	var out bytes.Buffer
	files := zip.NewWriter(&out)
	for _, f := range []struct{ name, text string }{{"README.md", readme}, {"composer-api.exe", program}} {
		if w, err := files.Create(f.name); err == nil {
			_, _ = w.Write([]byte(f.text))
		}
	}
	_ = files.Close()
	return out.Bytes()
}
