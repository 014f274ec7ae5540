package issuer

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func record(value string) map[string][]byte { return map[string][]byte{"k": []byte(value)} }

func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	told := make(map[string]string)
	tell := func(kind, name string, r map[string][]byte) {
		if r == nil {
			delete(told, kind+" "+name)
			return
		}
		told[kind+" "+name] = string(r["k"])
	}
	d, err := OpenDirectory(dir, tell)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if r, err := d.Get(ctx, KindOrder, "a.example"); r != nil || err != nil {
		t.Errorf("of nothing: %v, %v", r, err)
	}
	for _, value := range []string{"one", "two"} {
		if err := d.Put(ctx, KindOrder, "a.example", record(value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Put(ctx, KindCertificate, "b.example", record("three")); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Get(ctx, KindOrder, "a.example"); err != nil || string(r["k"]) != "two" {
		t.Errorf("got %v, %v", r, err)
	}
	if err := d.Delete(ctx, KindOrder, "never"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "../x", ".hidden", "a/b", `a\b`} {
		if err := d.Put(ctx, KindOrder, name, record("x")); err == nil {
			t.Errorf("%q was kept", name)
		}
	}
	if names, err := d.List(ctx, KindOrder); err != nil || !slices.Equal(names, []string{"a.example"}) {
		t.Errorf("List: %v, %v", names, err)
	}
	if _, err := OpenDirectory(dir, nil); err == nil {
		t.Error("two have the directory at a time")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	// What a crash has left in the middle of a write is no record.
	if err := os.WriteFile(filepath.Join(dir, KindOrder, ".new-1"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	clear(told)
	if d, err = OpenDirectory(dir, tell); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if want := map[string]string{"order a.example": "two", "certificate b.example": "three"}; !maps.Equal(told, want) {
		t.Errorf("told of %v, want %v", told, want)
	}
	if err := d.Delete(ctx, KindOrder, "a.example"); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"certificate b.example": "three"}; !maps.Equal(told, want) {
		t.Errorf("told of %v, want %v", told, want)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*", ".new-*")); err != nil || len(left) > 0 {
		t.Errorf("files remain: %v, %v", left, err)
	}

	// A file that was damaged is an error that names it, and not a reason to order anew.
	if err := os.WriteFile(filepath.Join(dir, KindAccount, "x.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(ctx, KindAccount, "x"); err == nil {
		t.Error("a damaged file is read")
	}
}
