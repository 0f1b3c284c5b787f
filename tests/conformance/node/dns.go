package main

import (
	"net"

	"github.com/miekg/dns"
)

// serveNames takes the place of CoreDNS: one name has an address, all others do not exist.
func serveNames() error {
	dns.HandleFunc(".", func(w dns.ResponseWriter, question *dns.Msg) {
		answer := new(dns.Msg)
		answer.SetRcode(question, dns.RcodeNameError)
		if len(question.Question) == 1 && question.Question[0].Name == "foo.bar.com." {
			answer.SetRcode(question, dns.RcodeSuccess)
			header := dns.RR_Header{Name: question.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}
			answer.Answer = []dns.RR{&dns.A{Hdr: header, A: net.IPv4(192, 0, 2, 1)}}
		}
		_ = w.WriteMsg(answer)
	})
	return (&dns.Server{Addr: ":53", Net: "udp"}).ListenAndServe()
}
