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
	opened = es.NewEvent(tracking.TrackingOpened{Operator: "olga", Watchers: []string{"ana"}})
	shut   = es.NewEvent(tracking.TrackingClosed{})
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

func said(seconds, north float64) tracking.Report {
	fix := fix(seconds, north)
	return tracking.Report{Lat: fix.Lat, Lng: fix.Lng, At: fix.At}
}

func accurate(said tracking.Report, metres float64) tracking.Report {
	said.Accuracy = &metres
	return said
}

func movedWithin(seconds, north, metres float64) es.Event {
	return es.NewEvent(tracking.CoordsUpdate(of(accurate(said(seconds, north), metres))))
}

// doubted is a fix that was told now and not believed.
func doubted(seconds, north float64) es.Event { return kept(seconds, north, int64(-seconds*1000)) }

// kept is a doubted fix that came so many milliseconds after it was taken.
func kept(seconds, north float64, behind int64) es.Event {
	fix := fix(seconds, north)
	fix.Behind = behind
	return es.NewEvent(tracking.CoordsDoubted(fix))
}

func moved(seconds, north float64) es.Event {
	return es.NewEvent(tracking.CoordsUpdate(fix(seconds, north)))
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
			Given: estest.Facts(es.NewEvent(tracking.TrackingOpened{Operator: "eve", Watchers: []string{"ana", "mallory"}, Public: true}), moved(0, 0)),
			When:  estest.Service("ops", opening),
			Then: estest.Facts(es.NewEvent(tracking.TrackingOpened{
				Operator: "olga", Watchers: []string{"ana"}, Anew: true, Removed: []string{"eve", "mallory"},
			})),
		},
	})
}

func TestReport(t *testing.T) {
	t.Parallel()
	estest.Check(t, track, []estest.Row{
		{Name: "the operator reports", Given: estest.Facts(opened), When: estest.By("olga", said(0, 0)), Then: estest.Facts(moved(0, 0))},
		{Name: "a watcher does not report", Given: estest.Facts(opened), When: estest.By("ana", said(0, 0)), Refused: schemas.Forbidden},
		{Name: "nobody reports where nothing is tracked", When: estest.By("olga", said(0, 0)), Refused: schemas.Forbidden},
		{Name: "not even nobody", When: estest.By("", said(0, 0)), Refused: schemas.Forbidden},
		{Name: "a closed track takes no more", Given: estest.Facts(opened, shut), When: estest.By("olga", said(0, 0)), Refused: schemas.Closed},
		{Name: "without a time it is now", Given: estest.Facts(opened), When: estest.By("olga", tracking.Report{Lat: -12, Lng: -77}), Then: estest.Facts(moved(0, 0))},
		{Name: "a fix that is a minute old counts", Given: estest.Facts(opened), When: estest.By("olga", said(-60, 0)), Then: estest.Facts(moved(-60, 0))},
		{Name: "an older one is stale", Given: estest.Facts(opened), When: estest.By("olga", said(-60.001, 0)), Refused: schemas.Stale, Then: estest.Facts(kept(-60.001, 0, 60_001))},
		{Name: "a clock may be a minute fast", Given: estest.Facts(opened), When: estest.By("olga", said(60, 0)), Then: estest.Facts(moved(60, 0))},
		{Name: "no fix is of the future", Given: estest.Facts(opened), When: estest.By("olga", said(60.001, 0)), Refused: schemas.InFuture, Then: estest.Facts(kept(60.001, 0, -60_001))},
		{Name: "a fix of the same time is a duplicate", Given: estest.Facts(opened, moved(-5, 0)), When: estest.By("olga", said(-5, 10)), Refused: schemas.Duplicate},
		{Name: "a fix that was overtaken is out of order", Given: estest.Facts(opened, moved(-5, 0)), When: estest.By("olga", said(-6, 10)), Refused: schemas.OutOfOrder, Then: estest.Facts(doubted(-6, 10))},
		{Name: "a fast train counts", Given: estest.Facts(opened, moved(-10, 0)), When: estest.By("olga", said(0, 900)), Then: estest.Facts(moved(0, 900))},
		{Name: "nothing flies", Given: estest.Facts(opened, moved(-10, 0)), When: estest.By("olga", said(0, 1000)), Refused: schemas.Implausible, Then: estest.Facts(doubted(0, 1000))},
		{Name: "a small jump within a second is inaccuracy", Given: estest.Facts(opened, moved(-1, 0)), When: estest.By("olga", said(-0.5, 90)), Then: estest.Facts(moved(-0.5, 90))},
		{Name: "a large one is none", Given: estest.Facts(opened, moved(-1, 0)), When: estest.By("olga", said(-0.5, 40_000)), Refused: schemas.Implausible, Then: estest.Facts(doubted(-0.5, 40_000))},
		{Name: "who stands still is not told again", Given: estest.Facts(opened, moved(-9, 0)), When: estest.By("olga", said(0, 2))},
		{Name: "but now and then", Given: estest.Facts(opened, moved(-10, 0)), When: estest.By("olga", said(0, 2)), Then: estest.Facts(moved(0, 2))},
		{Name: "a fix of a district is none", Given: estest.Facts(opened), When: estest.By("olga", accurate(said(0, 0), 1001)), Refused: schemas.Inaccurate},
		{Name: "a poor fix is better than none", Given: estest.Facts(opened), When: estest.By("olga", accurate(said(0, 0), 900)), Then: estest.Facts(movedWithin(0, 0, 900))},
		{Name: "a poor fix does not replace a good one", Given: estest.Facts(opened, moved(-5, 0)), When: estest.By("olga", accurate(said(0, 50), 200)), Refused: schemas.Inaccurate},
		{Name: "unless that is old", Given: estest.Facts(opened, moved(-10, 0)), When: estest.By("olga", accurate(said(0, 50), 200)), Then: estest.Facts(movedWithin(0, 50, 200))},
		{Name: "a device that knows nothing says 0, 0", Given: estest.Facts(opened), When: estest.By("olga", tracking.Report{}), Refused: schemas.Implausible},
		{Name: "the first was wild: one more", Given: estest.Facts(opened, moved(-5, 40_000)), When: estest.By("olga", said(-4, 0)), Refused: schemas.Implausible, Then: estest.Facts(doubted(-4, 0))},
		{Name: "the first was wild: two more", Given: estest.Facts(opened, moved(-5, 40_000), doubted(-4, 0)), When: estest.By("olga", said(-3, 10)), Refused: schemas.Implausible, Then: estest.Facts(doubted(-3, 10))},
		{Name: "the first was wild: three agree", Given: estest.Facts(opened, moved(-5, 40_000), doubted(-4, 0), doubted(-3, 10)), When: estest.By("olga", said(-2, 20)), Then: estest.Facts(moved(-2, 20))},
		{Name: "three that do not agree are wild", Given: estest.Facts(opened, moved(-5, 0), doubted(-4, 40_000), doubted(-3, 80_000)), When: estest.By("olga", said(-2, 120_000)), Refused: schemas.Implausible, Then: estest.Facts(doubted(-2, 120_000))},
		{Name: "the same again agrees with nobody", Given: estest.Facts(opened, moved(-5, 0), doubted(-4, 40_000)), When: estest.By("olga", said(-4, 40_000)), Refused: schemas.Implausible},
		{Name: "one that follows ends the doubt", Given: estest.Facts(opened, moved(-5, 0), doubted(-4, 40_000), doubted(-3, 40_000)), When: estest.By("olga", said(-2, 1)), Then: estest.Facts(moved(-2, 1))},
		{Name: "doubt ends with what follows", Given: estest.Facts(opened, moved(-5, 0), doubted(-4, 40_000), moved(-3, 10), doubted(-2, 40_000)), When: estest.By("olga", said(-1, 40_000)), Refused: schemas.Implausible, Then: estest.Facts(doubted(-1, 40_000))},
		{Name: "a clock that jumped: one more", Given: estest.Facts(opened, moved(50, 0)), When: estest.By("olga", said(-1, 0)), Refused: schemas.Implausible, Then: estest.Facts(doubted(-1, 0))},
		{Name: "a clock that jumped: three agree", Given: estest.Facts(opened, moved(50, 0), doubted(-2, 0), doubted(-1, 5)), When: estest.By("olga", said(0, 9)), Then: estest.Facts(moved(0, 9))},
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
