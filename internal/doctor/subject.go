package doctor

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/setup"
)

// A Subject is the gateway that is looked at. Functions that are nil, and empty values, say that there is no such thing; the
// check says so and goes on.
type Subject struct {
	Version string // as 'composer-api version' prints it
	// Settings are looked at first: with one that can't be used there is no gateway to look at, and what follows is empty.
	Settings Settings
	// Network is the way to all of Addresses.
	Network Network
	// Addresses are those of Cursor that the gateway uses, the public API first.
	Addresses []Address
	// Key is the gateway's own. Clients may send others, of which nothing is known here.
	Key Key
	// Bridge and Store are parts of the gateway; neither is running while they are looked at.
	Bridge Bridge
	Store  Store
	// Folders are where files are written.
	Folders []Folder
	// Free is how many bytes are free where a folder is; ok is false when that can't be known. FreeSpace is the real one.
	Free func(folder string) (bytes uint64, ok bool)
	// Certificates are those by which serve speaks TLS itself; none when it doesn't.
	Certificates []Certificate
	// Ports are what serve listens on.
	Ports []Port
	// Clients are those of this machine that setup knows, installed or not.
	Clients []setup.State
	// Turn asks the model for a word; nil leaves it out.
	Turn func(context.Context) (*Turn, error)
}

// Settings are what the operator has set.
type Settings struct {
	// Set are in the order of serve's help.
	Set      []Setting
	Wrong    []Fault // can't be used
	Doubtful []Fault // work, and are probably not meant
}

// A Setting is one that is set. Value is masked where it is a secret.
type Setting struct{ Name, Value, Origin string }

// A Fault is something wrong with what cures it.
type Fault struct{ Text, Cure string }

// A Network is how the world is reached. The zero value is the process's own.
type Network struct {
	// Resolver looks names up; nil means net.DefaultResolver.
	Resolver *net.Resolver
	// Proxy is the proxy for a request; nil means http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)
	// Roots are the certificate authorities; nil means the system's.
	Roots *x509.CertPool
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// An Address is one of Cursor's, or of a server before it.
type Address struct {
	// URL may have a path. Only its host is asked for an answer.
	URL     string
	Setting string // the variable that holds it
	// HTTP2 says that it has to speak HTTP/2.
	HTTP2 bool
}

// A Key is the gateway's own Cursor key.
type Key struct {
	Secret agent.Secret // zero when it has none
	Origin string       // where it was set
	// Give is how the gateway is given another one: a command, or the name of a file to write it into.
	Give  string
	Wrong *Fault // why it can't be read
	// WhoIs asks Cursor for the key's name. Errors are *agent.Error.
	WhoIs func(context.Context, agent.Secret) (name string, err error)
	// Exchange gets an access token for it, and says when that ends (zero: it doesn't say); nil when the upstream in use does so
	// itself. Errors are *agent.Error.
	Exchange func(context.Context, agent.Secret) (expires time.Time, err error)
}

// A Bridge is Cursor's published one.
type Bridge struct {
	// Wanted says that the gateway would use it.
	Wanted bool
	// Missing says that it is wanted and not there.
	Missing bool
	Wrong   *Fault // why it can't be used
	// Version and Dir are of the bridge that was found; "" when there is none.
	Version, Dir string
	// Named is the variable that names Dir; "" for a bridge that 'upstream install' has brought.
	Named string
	// Confinement says how it is confined, or, with Unconfined, why it isn't.
	Confinement string
	// Unconfined says that it may do whatever this user may.
	Unconfined bool
	Proxied    bool // there is a proxy, which the bridge does not use
	// Try starts it, asks it for a sign of life, and ends it. ready is how long the start took.
	Try func(context.Context) (ready time.Duration, err error)
}

// A Store is the database. None of its functions changes anything.
type Store struct {
	Name string // without a password
	// File is the path of a database in a file; "" for one that a server has.
	File string
	// Pending lists the migrations that are not applied yet, and says whether there is a database at all.
	Pending func(context.Context) (names []string, exists bool, err error)
	// Writable takes the lock for writing and gives it back.
	Writable func(context.Context) error
	// Newer reports whether an error is that the schema is newer than this program.
	Newer func(error) bool
	// Sealing tries the encryption keys on what is stored. It is asked only when the schema is up to date.
	Sealing func(context.Context) (Sealing, error)
}

// A Sealing says how the encryption keys of the settings fit the Cursor keys behind the accounts of hosted keys.
type Sealing struct {
	// Set and Previous say whether ENCRYPTION_KEY and ENCRYPTION_KEY_PREVIOUS are.
	Set, Previous bool
	// Of the Accounts, no encryption key opens those that are Locked, and the previous one alone those that are Old.
	Accounts, Locked, Old int
}

// A Folder is where files are written. It need not exist.
type Folder struct {
	// Path is where the files will lie. The nearest folder above it that exists is looked at.
	Path string
	What string // what lies there: "the database"
	// Cure is what to do when there is no room: which setting names another place.
	Cure string
}

// A Port is an address to listen on.
type Port struct {
	// Addr is HOST:PORT. An empty host is every interface.
	Addr string
	Flag string // of serve, which says where it is
	What string // "the gateway"
	// Another is an address to use in its place.
	Another string
}

// A Turn is how long a turn took, and what it cost.
type Turn struct {
	// Upstream is the backend that has answered, Model the id that was asked for.
	Upstream, Model            string
	Accepted, FirstWord, Ended time.Duration // since the beginning
	// Tokens are those read and written.
	Tokens  int64
	CostUSD float64 // 0 when the price isn't known
}
