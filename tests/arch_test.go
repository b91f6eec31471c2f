// Package tests answers "promised what?": it holds the whole of Latido to its
// promises from outside. This folder's own tests keep the shape of the source;
// the folders below it drive a running stack through sockets and subjects, each of
// them one promise. What they are made of is in tests/kit; only tests/load, which
// measures programs from outside, is on its own.
//
// How to write a test: begin with the sentence that is promised, and look for the
// folder whose package comment promises it. Make a kit.Stage, start on it what the
// promise needs and nothing more, and put clients on it: a kit.Client where a good
// one is meant, a kit.RawClient where something wrong is said. Break what is to
// break (a kit.Proxy, a Process that is killed, a server of the Bus), then wait for
// what must come of it, never for a time. At the end judge what everybody was told
// against what is stored: Stage.Settle for events, Ledger and Owed for presence.
// See that the test fails when the promise is broken. The kit's package comment has
// such a test in twenty lines.
package tests

import (
	"encoding/json"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/latido/latido"

// source is a package as `go list` sees it.
type source struct {
	ImportPath   string
	Dir          string
	Name         string
	Doc          string
	Imports      []string
	GoFiles      []string
	TestImports  []string
	XTestImports []string
}

// rule says what the packages below a folder may import, and why. The first rule
// that fits a package is its rule. Imports are matched as paths below the module,
// or as foreign module paths; the standard library is always allowed.
type rule struct {
	folder string
	may    []string
	why    string
}

var rules = []rule{
	{"subjects/topology/bustest", []string{"subjects", "github.com/nats-io"}, "it runs servers for tests"},
	{"subjects/topology", []string{"subjects", "github.com/nats-io/nats.go"}, "it declares what subjects names"},
	{"subjects/lease", []string{"subjects", "github.com/nats-io/nats.go"}, "bridges and services hold leases by one rule"},
	{"subjects/seat", []string{"subjects", "github.com/nats-io/nats.go"}, "bridges and services read presence by one rule"},
	{"subjects/history", []string{"subjects", "github.com/nats-io/nats.go"}, "it reads what subjects names"},
	{"subjects/identity", []string{"subjects", "schemas", "github.com/golang-jwt", "github.com/MicahParks/jwkset"}, "bridges and services read tokens alike, and know nothing else of one another"},
	{"subjects", nil, "everybody imports it, so it may drag nothing along"},
	{"schemas/internal", []string{"*"}, "generators run at build time only"},
	{"schemas", []string{"schemas", "subjects", "github.com/santhosh-tekuri/jsonschema"}, "what travels knows who owns it, and nothing of who sends it"},
	{"services/internal", []string{"services/internal", "schemas", "subjects", "github.com/nats-io/nats.go", "github.com/nats-io/nuid", "golang.org/x"}, "the shell knows no service"},
	{"services", []string{"services/internal", "schemas", "subjects", "github.com/nats-io/nats.go", "golang.org/x"}, "services talk over the bus, never by import"},
	{"bridge/wire", nil, "the meaning of a request is nobody's dialect"},
	{"bridge/admission", []string{"bridge/wire", "schemas"}, "the doorman knows no socket"},
	{"bridge/api", []string{
		"bridge/session", "bridge/hub", "bridge/netpoll", "bridge/admission", "bridge/wire", "bridge/native", "bridge/eventstream", "bridge/websocket", "bridge/sdk", "bridge/console",
		"schemas", "subjects", "github.com/gofiber", "github.com/valyala/fasthttp", "github.com/prometheus",
	}, "HTTP stands before sessions and knows them"},
	{"bridge/session", []string{
		"bridge/hub", "bridge/netpoll", "bridge/admission", "bridge/wire", "bridge/websocket", "schemas", "subjects",
		"github.com/nats-io/nats.go", "github.com/prometheus", "golang.org/x/sync",
	}, "a session is spoken to through a socket, whoever accepted it"},
	{"bridge/hub", []string{
		"bridge/netpoll", "bridge/wire", "bridge/websocket", "schemas", "subjects",
		"github.com/nats-io/nats.go", "github.com/prometheus", "golang.org/x/sync",
	}, "what a channel holds knows nothing of sessions and HTTP"},
	{"bridge/netpoll", []string{"golang.org/x/sys/unix"}, "sockets know nothing of what is read from them"},
	{"bridge/websocket", []string{"github.com/klauspost/compress/flate"}, "frames know nothing of what they carry"},
	{"bridge/native", append(dialect, "github.com/tidwall/gjson"), "a dialect translates and does no I/O"},
	{"bridge/eventstream", append(dialect, "bridge/native"), "it is the native dialect in another framing"},
	{"bridge/supabase", dialect, "a dialect translates and does no I/O"},
	{"bridge/pusher", dialect, "a dialect translates and does no I/O"},
	{"bridge", []string{
		"bridge", "schemas", "subjects", "github.com/nats-io/nats.go", "github.com/prometheus",
	}, "the bridge asks services over the bus, never by import"},
	{"deploy/internal", []string{"*"}, "generators run at build time only"},
	{"deploy/stack", []string{"*"}, "it puts everything together"},
	{"deploy/latido", []string{"deploy/stack", "bridge", "github.com/alecthomas/kong", "github.com/goccy/go-yaml"}, "the program turns words into a stack.Config"},
	{"tests/kit", []string{"deploy/stack", "subjects", "schemas", "github.com/nats-io/nats.go", "github.com/coder/websocket", "github.com/golang-jwt"}, "it starts a system, and then knows it from outside"},
	{"tests/load", []string{"tests/load", "github.com/alecthomas/kong", "github.com/golang-jwt", "golang.org/x"}, "it measures programs from outside, as anyone could"},
	{"tests", []string{"tests/kit", "schemas"}, "promises are tested with the kit, through sockets and subjects"},
}

var dialect = []string{"bridge/wire", "schemas", "subjects"}

// only names the packages that may import something, wherever they stand.
var only = []struct {
	imported string
	by       []string
	why      string
}{
	{"github.com/gofiber", []string{"bridge/api"}, "nothing else depends on the web framework"},
	{"github.com/nats-io/nats-server", []string{"deploy/stack", "subjects/topology/bustest"}, "nothing else knows whether the bus is in the process"},
	{module + "/subjects/topology/bustest", []string{"services/internal/estest", "tests/kit"}, "it is for tests"},
	{module + "/tests/kit", nil, "it is for tests"},
	{module + "/services/internal/estest", nil, "it is for tests"},
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, pkg := range packages(t) {
		folder := below(pkg.ImportPath)
		at := slices.IndexFunc(rules, func(r rule) bool { return within(folder, r.folder) })
		if at < 0 {
			t.Errorf("%s: no rule says what it may import; DESIGN decides, add one here", folder)
			continue
		}
		for _, imported := range pkg.Imports {
			if !rules[at].allows(imported) {
				t.Errorf("%s imports %s: may import only %v, because %s", folder, imported, rules[at].may, rules[at].why)
			}
		}
	}
}

func TestOnlySomeImport(t *testing.T) {
	t.Parallel()
	for _, pkg := range packages(t) {
		for _, o := range only {
			if slices.Contains(o.by, below(pkg.ImportPath)) {
				continue
			}
			for _, imported := range pkg.Imports {
				if within(imported, o.imported) {
					t.Errorf("%s imports %s, which only %v may, because %s", pkg.ImportPath, imported, o.by, o.why)
				}
			}
		}
	}
}

func TestServicesDoNotKnowEachOther(t *testing.T) {
	t.Parallel()
	for _, pkg := range packages(t) {
		folder := below(pkg.ImportPath)
		if path.Dir(folder) != "services" {
			continue
		}
		for _, imported := range slices.Concat(pkg.Imports, pkg.TestImports, pkg.XTestImports) {
			if path.Dir(below(imported)) == "services" && below(imported) != folder {
				t.Errorf("%s imports %s: services talk over the bus, in tests too", folder, imported)
			}
		}
	}
}

// A promise is tested by itself, with what all tests are made of.
func TestTestsShareTheKitOnly(t *testing.T) {
	t.Parallel()
	for _, pkg := range packages(t) {
		folder := below(pkg.ImportPath)
		if !within(folder, "tests") || within(folder, "tests/load") {
			continue
		}
		for _, imported := range slices.Concat(pkg.Imports, pkg.TestImports, pkg.XTestImports) {
			if other := below(imported); within(other, "tests") && other != "tests/kit" {
				t.Errorf("%s imports %s: what two of them need belongs in tests/kit", folder, imported)
			}
			if within(imported, "github.com/coder/websocket") && folder != "tests/kit" {
				t.Errorf("%s imports %s: the client of all tests is in tests/kit", folder, imported)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, pkg := range packages(t) {
		want := "Package " + pkg.Name
		if pkg.Name == "main" {
			want = "Command "
		}
		if len(pkg.GoFiles) > 0 && !strings.HasPrefix(pkg.Doc, want) {
			t.Errorf("%s: its package comment does not start with %q", below(pkg.ImportPath), want)
		}
	}
}

func (r rule) allows(imported string) bool {
	if standard(imported) {
		return true
	}
	for _, may := range r.may {
		if may == "*" || within(below(imported), may) {
			return true
		}
	}
	return within(below(imported), r.folder) && r.folder != "services"
}

// standard reports whether a package is Go's own: its path has no domain.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

func below(imported string) string { return strings.TrimPrefix(imported, module+"/") }

func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

// packages lists the module's packages.
func packages(tb testing.TB) []source {
	tb.Helper()
	command := exec.CommandContext(tb.Context(), "go", "list", "-e", "-json=ImportPath,Dir,Name,Doc,Imports,GoFiles,TestImports,XTestImports", "./...")
	command.Dir = ".."
	listed, err := command.Output()
	if err != nil {
		tb.Fatal("go list:", err)
	}
	var all []source
	for decoder := json.NewDecoder(strings.NewReader(string(listed))); ; {
		var pkg source
		if err := decoder.Decode(&pkg); err == io.EOF {
			return all
		} else if err != nil {
			tb.Fatal("go list:", err)
		}
		all = append(all, pkg)
	}
}
