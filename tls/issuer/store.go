package issuer

import "context"

// The kinds of records that a Store keeps.
const (
	// KindAccount has the accounts, by a name made of the directory's URL.
	KindAccount = "account"
	// KindOrder has what is under way or has failed, by host.
	KindOrder = "order"
	// KindCertificate has what was issued, by host.
	KindCertificate = "certificate"
)

// The keys of a certificate's record, as in a Secret of type kubernetes.io/tls.
const (
	CertificateKey = "tls.crt" // the chain in PEM, the leaf first
	PrivateKeyKey  = "tls.key" // PKCS #8 in PEM
	// DirectoryKey names the authority that it is of, by its directory's URL. Orders have it too.
	DirectoryKey = "directory"
)

// StatusKey of an order's record says for people how it stands.
const StatusKey = "status"

// Store keeps records that must outlive the process: small maps by kind and name. It is used from
// several goroutines, but for one name from one at a time.
type Store interface {
	// Get returns a record; nil when there is none.
	Get(ctx context.Context, kind, name string) (map[string][]byte, error)
	// Put keeps record in place of the one that this Store has last read or written under the
	// name; it fails, and changes nothing, where another process has written since.
	Put(ctx context.Context, kind, name string, record map[string][]byte) error
	// Delete removes the record that this Store has last read or written under the name; it fails,
	// and removes nothing, where another process has written since. That there is none is no error.
	Delete(ctx context.Context, kind, name string) error
	// List returns the names of all records of a kind.
	List(ctx context.Context, kind string) ([]string, error)
}
