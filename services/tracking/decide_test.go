package tracking

import (
	"testing"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/tracking"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
)

var (
	opened = es.Event{Name: "tracking_opened", Data: tracking.TrackingOpened{Operator: "olga", Watchers: []string{"ana"}}}
	shut   = es.Event{Name: "tracking_closed", Data: tracking.TrackingClosed{}}
)

// fix is a position near Lima, so many seconds after the time of the command and
// so many metres north.
func fix(seconds, north float64) tracking.Fix {
	const metresPerDegree = 111_195
	return tracking.Fix{
		Lat: -12 + north/metresPerDegree, Lng: -77,
		At: estest.Now.Add(time.Duration(seconds * float64(time.Second))),
	}
}

func moved(seconds, north float64) es.Event {
	return es.Event{Name: "coords_update", Data: fix(seconds, north)}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	opening := tracking.Open{Operator: "olga", Watchers: []string{"ana"}}
	estest.Check(t, track, []estest.Row{
		{Name: "a service opens", When: estest.Service("ops", opening), Then: estest.Facts(opened)},
		{Name: "the operator opens", When: estest.By("olga", opening), Then: estest.Facts(opened)},
		{Name: "nobody opens for another", When: estest.By("ana", opening), Refused: schemas.Forbidden},
		{Name: "a track is opened once", Given: estest.Facts(opened), When: estest.By("olga", opening), Refused: schemas.Exists},
		{Name: "to open it again for the same changes nothing", Given: estest.Facts(opened), When: estest.Service("ops", opening)},
		{
			Name:  "a service takes it from whoever was first",
			Given: estest.Facts(es.Event{Name: "tracking_opened", Data: tracking.TrackingOpened{Operator: "eve", Watchers: []string{"ana", "mallory"}, Public: true}}, moved(0, 0)),
			When:  estest.Service("ops", opening),
			Then: estest.Facts(es.Event{Name: "tracking_opened", Data: tracking.TrackingOpened{
				Operator: "olga", Watchers: []string{"ana"}, Anew: true, Removed: []string{"eve", "mallory"},
			}}),
		},
	})
}

func TestReport(t *testing.T) {
	t.Parallel()
	estest.Check(t, track, []estest.Row{
		{Name: "the operator reports", Given: estest.Facts(opened), When: estest.By("olga", fix(0, 0)), Then: estest.Facts(moved(0, 0))},
		{Name: "a watcher does not report", Given: estest.Facts(opened), When: estest.By("ana", fix(0, 0)), Refused: schemas.Forbidden},
		{Name: "nobody reports where nothing is tracked", When: estest.By("olga", fix(0, 0)), Refused: schemas.Forbidden},
		{Name: "not even nobody", When: estest.By("", fix(0, 0)), Refused: schemas.Forbidden},
		{Name: "a closed track takes no more", Given: estest.Facts(opened, shut), When: estest.By("olga", fix(0, 0)), Refused: schemas.Closed},
		{Name: "a fix that is a minute old counts", Given: estest.Facts(opened), When: estest.By("olga", fix(-60, 0)), Then: estest.Facts(moved(-60, 0))},
		{Name: "an older one is stale", Given: estest.Facts(opened), When: estest.By("olga", fix(-60.001, 0)), Refused: schemas.Stale},
		{Name: "a clock may be a minute fast", Given: estest.Facts(opened), When: estest.By("olga", fix(60, 0)), Then: estest.Facts(moved(60, 0))},
		{Name: "no fix is of the future", Given: estest.Facts(opened), When: estest.By("olga", fix(60.001, 0)), Refused: schemas.Implausible},
		{Name: "a fix of the same time is stale", Given: estest.Facts(opened, moved(-5, 0)), When: estest.By("olga", fix(-5, 10)), Refused: schemas.Stale},
		{Name: "a fix that was overtaken is stale", Given: estest.Facts(opened, moved(-5, 0)), When: estest.By("olga", fix(-6, 10)), Refused: schemas.Stale},
		{Name: "a fast car counts", Given: estest.Facts(opened, moved(-10, 0)), When: estest.By("olga", fix(0, 600)), Then: estest.Facts(moved(0, 600))},
		{Name: "nothing moves faster than sound", Given: estest.Facts(opened, moved(-10, 0)), When: estest.By("olga", fix(0, 3500)), Refused: schemas.Implausible},
		{Name: "a jump within a second is inaccuracy", Given: estest.Facts(opened, moved(-1, 0)), When: estest.By("olga", fix(0, 500)), Then: estest.Facts(moved(0, 500))},
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	estest.Check(t, track, []estest.Row{
		{Name: "the operator closes", Given: estest.Facts(opened), When: estest.By("olga", tracking.Close{}), Then: estest.Facts(shut)},
		{Name: "a service closes", Given: estest.Facts(opened), When: estest.Service("ops", tracking.Close{}), Then: estest.Facts(shut)},
		{Name: "a watcher does not close", Given: estest.Facts(opened), When: estest.By("ana", tracking.Close{}), Refused: schemas.Forbidden},
		{Name: "to close twice changes nothing", Given: estest.Facts(opened, shut), When: estest.By("olga", tracking.Close{})},
		{Name: "nobody closes what is not there", When: estest.Service("ops", tracking.Close{}), Refused: schemas.Forbidden},
	})
}

func TestMetres(t *testing.T) {
	t.Parallel()
	lima, cusco := tracking.Fix{Lat: -12.0464, Lng: -77.0428}, tracking.Fix{Lat: -13.5320, Lng: -71.9675}
	if got := metres(lima, cusco); got < 565_000 || got > 580_000 {
		t.Errorf("Lima to Cusco = %.0f m, want about 573 km", got)
	}
	if got := metres(tracking.Fix{Lng: 179.9999}, tracking.Fix{Lng: -179.9999}); got > 23 {
		t.Errorf("across the date line = %.0f m, want 22", got)
	}
}

func TestWhoIsTold(t *testing.T) {
	t.Parallel()
	private := evolve(Track{}, opened)
	public := evolve(Track{}, es.Event{Data: tracking.TrackingOpened{Operator: "olga", Watchers: []string{"olga"}, Public: true}})
	for _, row := range []struct {
		track Track
		user  string
		want  string
	}{
		{private, "olga", "operator"},
		{private, "ana", "watcher"},
		{private, "eve", ""},
		{private, "", ""},
		{public, "", "watcher"},
		{public, "olga", "operator"},
		{Track{}, "", ""},
	} {
		if got := row.track.role(row.user); got != row.want {
			t.Errorf("role of %q in %+v = %q, want %q", row.user, row.track, got, row.want)
		}
	}
}
