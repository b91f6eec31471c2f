package bridge

import (
	"io/fs"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/filesystem"

	"github.com/latido/latido/bridge/console"
	"github.com/latido/latido/bridge/sdk"
)

// pages serves what browsers load: the client, so that a page needs one import
// and no package manager, and the start page.
func (b *Bridge) pages(app *fiber.App) {
	app.Use("/sdk", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderAccessControlAllowOrigin, "*") // the client is nobody's secret
		return c.Next()
	}, files(sdk.Files()))
	app.Use("/", files(console.Files()))
}

func files(folder fs.FS) fiber.Handler {
	return filesystem.New(filesystem.Config{Root: http.FS(folder), MaxAge: 60})
}
