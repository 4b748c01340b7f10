package scaling
import ("testing";"fmt";"math")
func TestFit0(t *testing.T){ 
 for _,r:=range [][2]float64{{6e7,2e9},{2e9,10e9},{1e10,6e10},{6e10,1.2e12}} { w:=0.0;at:=0.0
 for N:=r[0];N<r[1];N*=1.013 { s,_:=ShapeFor(N,ShapeOptions{}); if m:=math.Abs(float64(s.Params().Total())/N-1); m>w {w,at=m,N} }
 fmt.Println(w,at)}
}
