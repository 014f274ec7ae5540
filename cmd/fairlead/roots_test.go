package main

import (
	"crypto/x509"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// TestRootsWithoutFiles: in an image without files, public authorities are known all the same.
func TestRootsWithoutFiles(t *testing.T) {
	const without = "/nonexistent"
	if os.Getenv("SSL_CERT_DIR") != without { // they are read once a process
		cmd := exec.Command(os.Args[0], "-test.run=^TestRootsWithoutFiles$")
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+without, "SSL_CERT_DIR="+without)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	known := 0
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Verify(x509.VerifyOptions{CurrentTime: cert.NotBefore.Add(time.Hour)}); err != nil {
			t.Errorf("%v: %v", cert.Subject, err)
		}
		known++
	}
	if known < 50 {
		t.Errorf("%d authorities, want more", known)
	}
}
