package replica

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"time"
)

// MinSecret is the least number of characters of the secret that replicas share.
const MinSecret = 16

// An identity is the key pair that all replicas have, and a certificate for it. It is made from the secret that they
// share, so there are no files to hand out and nothing that expires. Who doesn't know the secret can neither connect to a
// replica nor pass for one.
type identity struct {
	certificate tls.Certificate
	// public is what the other side of a connection has to show.
	public ed25519.PublicKey
}

// newIdentity makes the identity of all who know the secret.
func newIdentity(secret string) (*identity, error) {
	// The purpose is part of what replicas of different versions must agree on: never change it.
	seed, err := hkdf.Key(sha256.New, []byte(secret), nil, "composer-api replica identity", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	private := ed25519.NewKeyFromSeed(seed)
	public := private.Public().(ed25519.PublicKey)
	// The certificate only carries the key. Its names and times say nothing, and nobody looks at them.
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<35, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return nil, err
	}
	return &identity{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, public}, nil
}

// errStranger is the failure of a handshake with somebody who does not know the secret.
var errStranger = errors.New("the other end has another COMPOSER_REPLICA_SECRET")

// config is for both ends of a connection.
//
// InsecureSkipVerify turns off what has no meaning here: names and certificate authorities. What counts is checked by
// verify: the other end's key is ours, and TLS has made sure that it has the private half.
func (id *identity) config() *tls.Config {
	return &tls.Config{
		Certificates:       []tls.Certificate{id.certificate},
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true,
		VerifyConnection:   id.verify,
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{"h2"},
	}
}

// verify fails unless the other end's certificate is for our key.
func (id *identity) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errStranger
	}
	if theirs, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey); !ok || !theirs.Equal(id.public) {
		return errStranger
	}
	return nil
}
