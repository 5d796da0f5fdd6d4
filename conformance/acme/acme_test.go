// Package acme lets the gateway get a certificate from a real ACME server: pebble, which Let's Encrypt tests with.
package acme

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// pebble is the version that Go's module proxy is asked for.
const pebble = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.3"

// name is what the certificate is for.
const name = "gateway.test"

// TestACertificateIsIssued: the first client has the gateway ask for a certificate, which the authority gives after it has
// asked back, and the client is served over HTTP/2. The certificate is kept. The authority asks by a handshake of its own
// (tls-alpn-01) or, where it can't reach the port for TLS, by plain HTTP at the second listener (http-01).
func TestACertificateIsIssued(t *testing.T) {
	folder := t.TempDir()
	install := exec.CommandContext(t.Context(), "go", "install", pebble)
	install.Env = append(os.Environ(), "GOBIN="+folder, "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("pebble can't be had: %v\n%s", err, out)
	}
	for challenge, plain := range map[string]bool{"tls-alpn-01": false, "http-01": true} {
		t.Run(challenge, func(t *testing.T) { issue(t, filepath.Join(folder, "pebble"), plain) })
	}
}

// issue has pebble issue a certificate. plain leaves it no way but http-01; without it there is no way but tls-alpn-01.
func issue(t *testing.T, pebble string, plain bool) {
	folder := t.TempDir()
	cert, key := harness.Certificate(t, folder) // by which pebble itself is asked
	gateway, second, directory, nobody := harness.FreeAddress(t), harness.FreeAddress(t), harness.FreeAddress(t), harness.FreeAddress(t)
	asksTLS, asksHTTP := gateway, nobody
	cache := filepath.Join(folder, "acme")
	environ := []string{
		"COMPOSER_ADDR=" + gateway, "COMPOSER_ACME_HOSTS=" + name, "COMPOSER_ACME_DIRECTORY=https://" + directory + "/dir", "COMPOSER_ACME_CACHE=" + cache, "COMPOSER_CA_FILE=" + cert,
	}
	if plain {
		asksTLS, asksHTTP = nobody, second
		environ = append(environ, "COMPOSER_HTTP_ADDR="+second)
	}
	config := filepath.Join(folder, "pebble.json")
	write(t, config, fmt.Appendf(nil, `{"pebble":{"listenAddress":%q,"managementListenAddress":%q,"certificate":%q,"privateKey":%q,"httpPort":%s,"tlsPort":%s}}`,
		directory, harness.FreeAddress(t), cert, key, port(asksHTTP), port(asksTLS)))
	start(t, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0"}, pebble, "-config", config, "-dnsserver", resolver(t))
	await(t, directory)
	said := start(t, environ, harness.Binary(t), "serve", "--demo")

	// The authority's root is another one at each start, so what is checked is for which name, and that it isn't our own.
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSHandshakeTimeout: time.Minute, TLSClientConfig: &tls.Config{ServerName: name, InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	await(t, gateway)
	// Once: after a failure the gateway asks for no certificate for a minute.
	resp, err := client.Get("https://" + gateway + "/healthz")
	if err != nil {
		t.Fatalf("%v\n%s", err, said())
	}
	defer resp.Body.Close()
	leaf := resp.TLS.PeerCertificates[0]
	if resp.StatusCode != http.StatusOK || resp.Proto != "HTTP/2.0" || leaf.VerifyHostname(name) != nil || leaf.Issuer.CommonName == leaf.Subject.CommonName {
		t.Errorf("%s %s, for %v by %s", resp.Status, resp.Proto, leaf.DNSNames, leaf.Issuer)
	}
	if _, err := os.Stat(filepath.Join(cache, name)); err != nil {
		t.Error(err)
	}
}

// port is that of an address.
func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

// start runs a program until the test's end, and returns what it has said then.
func start(t *testing.T, environ []string, program string, args ...string) func() string {
	t.Helper()
	var out bytes.Buffer
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}, environ...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = home, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Cleanup(end)
	return func() string { end(); return out.String() }
}

// await waits until somebody listens.
func await(t *testing.T, address string) {
	t.Helper()
	for range 300 {
		if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
			conn.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("nobody listens on %s", address)
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// resolver is a name server, over TCP as pebble asks, to which every name is this machine.
func resolver(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go resolve(conn)
		}
	}()
	return l.Addr().String()
}

// resolve answers the questions of a connection: RFC 1035, 4.1 and 4.2.2.
func resolve(conn net.Conn) {
	defer conn.Close()
	for {
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		asked := make([]byte, size)
		if _, err := io.ReadFull(conn, asked); err != nil || size < 17 {
			return
		}
		end := 12
		for end < len(asked)-5 && asked[end] != 0 {
			end += int(asked[end]) + 1
		}
		question := asked[12 : end+5]
		answer := append([]byte{asked[0], asked[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
		if question[len(question)-3] == 1 { // an IPv4 address is asked for
			answer[7] = 1
			answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
		}
		conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	}
}
