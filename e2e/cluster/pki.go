package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pki is the certificate authority of one cluster. Its files are in dir.
type pki struct {
	dir    string
	server string // the API server's URL
	ca     *x509.Certificate
	key    *ecdsa.PrivateKey
	caPEM  []byte
	serial int64
}

// newPKI makes the authority, the API server's certificate for ip, and the key of ServiceAccounts.
func newPKI(dir string, ip net.IP, server string) (*pki, error) {
	p := &pki{dir: dir, server: server, serial: 1}
	var err error
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test cluster"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, p.key.Public(), p.key)
	if err != nil {
		return nil, err
	}
	if p.ca, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	if p.caPEM, err = p.write("ca.crt", "CERTIFICATE", der); err != nil {
		return nil, err
	}
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	if _, _, err = p.issue("apiserver", pkix.Name{CommonName: "kube-apiserver"}, names, net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1), ip); err != nil {
		return nil, err
	}
	if _, _, err = p.issue("kubelet-client", pkix.Name{CommonName: "kube-apiserver", Organization: []string{"system:masters"}}, nil); err != nil {
		return nil, err
	}
	return p, p.serviceAccountKey()
}

// issue makes a certificate for clients and servers: the files NAME.crt and NAME.key.
func (p *pki) issue(name string, subject pkix.Name, dns []string, ips ...net.IP) (crt, key []byte, err error) {
	p.serial++
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(p.serial), Subject: subject, NotBefore: p.ca.NotBefore, NotAfter: p.ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames: dns, IPAddresses: ips,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.ca, private.Public(), p.key)
	if err != nil {
		return nil, nil, err
	}
	if crt, err = p.write(name+".crt", "CERTIFICATE", der); err != nil {
		return nil, nil, err
	}
	key, err = p.writeKey(name+".key", private)
	return crt, key, err
}

func (p *pki) serviceAccountKey() error {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	if _, err := p.writeKey("sa.key", private); err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return err
	}
	_, err = p.write("sa.pub", "PUBLIC KEY", public)
	return err
}

func (p *pki) writeKey(name string, key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return p.write(name, "PRIVATE KEY", der)
}

func (p *pki) write(name, kind string, der []byte) ([]byte, error) {
	b := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return b, os.WriteFile(filepath.Join(p.dir, name), b, 0o600)
}

// path is the file of that name.
func (p *pki) path(name string) string { return filepath.Join(p.dir, name) }

// kubeconfig writes the file NAME.kubeconfig for a client certificate and returns its path.
func (p *pki) kubeconfig(name string, subject pkix.Name) (string, error) {
	crt, key, err := p.issue(name, subject, nil)
	if err != nil {
		return "", err
	}
	b64 := base64.StdEncoding.EncodeToString
	return p.writeKubeconfig(name, fmt.Sprintf("client-certificate-data: %s, client-key-data: %s", b64(crt), b64(key)))
}

// tokenKubeconfig is the same for a token.
func (p *pki) tokenKubeconfig(name, token string) (string, error) {
	return p.writeKubeconfig(name, "token: "+token)
}

func (p *pki) writeKubeconfig(name, user string) (string, error) {
	path := p.path(name + ".kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: test, user: {%s}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, p.server, base64.StdEncoding.EncodeToString(p.caPEM), user)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
