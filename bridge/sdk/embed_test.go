package sdk

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"testing"

	"github.com/latido/latido/bridge/sdk/bundletest"
)

func TestBundleIsFresh(t *testing.T) {
	t.Parallel()
	bundletest.Fresh(t, "embed.go", "src", "../../schemas/typescript/codes.ts")
}

// A page on a slow phone pays for every kilobyte before it can connect.
func TestBundleIsSmall(t *testing.T) {
	t.Parallel()
	const limit = 12 << 10
	bundle, err := fs.ReadFile(Files(), "latido.js")
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := writer.Write(bundle); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if packed.Len() >= limit {
		t.Errorf("latido.js is %d bytes compressed, want less than %d", packed.Len(), limit)
	}
}
