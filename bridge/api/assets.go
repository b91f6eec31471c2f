package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/bridge/console"
	"github.com/latido/latido/bridge/sdk"
)

// assets serves what browsers load: the client, so that a page needs one import
// and no package manager, and the start page.
func (s *Server) assets(app *fiber.App) {
	app.Use("/sdk", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderAccessControlAllowOrigin, "*") // the client is nobody's secret
		return c.Next()
	}, files("/sdk", sdk.Files()))
	app.Use("/", files("", console.Files()))
}

// contentTypes are of what is embedded; those of the system differ.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".map":  "application/json",
}

// asset is an embedded file, ready to be sent.
type asset struct {
	contentType    string
	tag            string // of the plain form, without quotes
	plain, gzipped []byte
}

// files serves the files of a folder below a prefix. The names stay the same from
// one version to the next, so a browser asks each time whether what it has is still
// the newest (RFC 9110, section 13), and is told so in a few bytes.
func files(prefix string, folder fs.FS) fiber.Handler {
	assets := load(folder)
	return func(c *fiber.Ctx) error {
		name := strings.TrimPrefix(strings.TrimPrefix(c.Path(), prefix), "/")
		if name == "" {
			name = "index.html"
		}
		file, found := assets[name]
		if !found || c.Method() != fiber.MethodGet && c.Method() != fiber.MethodHead {
			return c.Next()
		}
		body, tag := file.plain, `"`+file.tag+`"`
		if c.Get(fiber.HeaderAcceptEncoding) != "" && c.AcceptsEncodings("gzip") != "" {
			body, tag = file.gzipped, `"`+file.tag+`-gzip"`
			c.Set(fiber.HeaderContentEncoding, "gzip")
		}
		c.Set(fiber.HeaderContentType, file.contentType)
		c.Set(fiber.HeaderETag, tag)
		c.Set(fiber.HeaderCacheControl, "no-cache")
		c.Vary(fiber.HeaderAcceptEncoding)
		if isKnown(c.Get(fiber.HeaderIfNoneMatch), tag) {
			return c.SendStatus(fiber.StatusNotModified)
		}
		return c.Send(body)
	}
}

// isKnown says whether a tag is among those of If-None-Match, weak ones included:
// proxies make them so.
func isKnown(tags, tag string) bool {
	for known := range strings.SplitSeq(tags, ",") {
		if known = strings.TrimPrefix(strings.TrimSpace(known), "W/"); known == tag || known == "*" {
			return true
		}
	}
	return false
}

// load reads an embedded folder.
func load(folder fs.FS) map[string]asset {
	assets := make(map[string]asset)
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		plain, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		var gzipped bytes.Buffer
		writer, _ := gzip.NewWriterLevel(&gzipped, gzip.BestCompression) // the level exists
		_, _ = writer.Write(plain)                                       // a buffer takes everything
		_ = writer.Close()
		hash := sha256.Sum256(plain)
		assets[name] = asset{contentTypes[path.Ext(name)], hex.EncodeToString(hash[:8]), plain, gzipped.Bytes()}
		return nil
	})
	if err != nil {
		panic(err) // the folder is embedded
	}
	return assets
}
