# SPDX-License-Identifier: Apache-2.0
# Varnish for contrib/bench. It caches whole blobs in memory and cuts ranges out of them. TLS is left to hitch in front of it,
# as its users do.
package Headpond::Bench::Varnish;
use strict;
use warnings;
use Headpond::Bench::Server;
use Headpond::Bench::World;

# The command that has hitch decrypt for a Varnish that listens on a socket in that folder.
sub hitch {
    my ($dir, $address) = @_;
    my ($host, $port) = split /:/, $address;
    my $user = $> == 0 ? 'user = "nobody"' : ''; # it does not stay root
    Headpond::Process::spew("$dir/hitch.conf", <<"CONF");
frontend = { host = "$host" port = "$port" }
pem-file = { cert = "$Headpond::tls{certificate}" private-key = "$Headpond::tls{key}" }
# What was agreed on is in the line that goes ahead.
alpn-protos = "h2, http/1.1"
write-proxy-v2 = on
backend = "$dir/tls.sock"
workers = 1
backlog = 4096
ocsp-dir = ""
$user
CONF
    return ['hitch', "--config=$dir/hitch.conf"];
}

# A mask that keeps every kind of record that a request makes out of the log.
sub no_log {
    return join ',', map { "-$_" } qw(Begin End Link Timestamp ReqStart ReqMethod ReqURL ReqProtocol ReqHeader ReqUnset ReqAcct
        RespProtocol RespStatus RespReason RespHeader RespUnset VCL_call VCL_return VCL_use Hit Filters Storage
        SessOpen SessClose Length);
}

# A thread that waits for its connection's next request saves a third of what a hit costs, while there are enough of them.
# Beyond that all of them wait, and nobody takes new connections.
sub linger {
    my ($dir, $connections) = @_;
    my $seconds = $connections > 1000 ? 0.001 : 0.05;
    my ($status, $out) = Headpond::Process->run(seconds => 10, command => ['varnishadm', '-n', "$dir/work", 'param.set', 'timeout_linger', $seconds]);
    die "varnishadm: $out\n" if $status;
}

sub start {
    my ($world) = @_;
    my $dir = $world->folder_in('varnish');
    my %address = Headpond::Bench::Server::addresses(qw(h1 h1s));
    my ($host, $port) = split /:/, $world->{origin}{address};
    # Straight to the look-up and to delivery: the built-in rules look at cookies and the like on each request.
    Headpond::Process::spew("$dir/bench.vcl", <<"VCL");
vcl 4.1;
backend origin { .host = "$host"; .port = "$port"; }
sub vcl_recv { return (hash); }
sub vcl_deliver { return (deliver); }
sub vcl_backend_response { set beresp.ttl = 1d; return (deliver); }
VCL
    my $size = $Headpond::Bench::World::CACHE >> 20;
    return Headpond::Bench::Server->start(name => 'varnish', dir => $dir, address => { %address, h2c => $address{h1}, h2s => $address{h1s} },
        beside => hitch($dir, $address{h1s}), before => sub { linger($dir, @_) },
        command => ['varnishd', '-F', '-j', 'none', '-n', "$dir/work", '-f', "$dir/bench.vcl", '-a', "$address{h1},HTTP",
            '-a', "$dir/tls.sock,PROXY,mode=666",
            '-s', "malloc,${size}m",   # on disk, with -s file, a reply costs more
            '-p', 'feature=+http2',
            '-p', 'thread_pools=1',    # one core has no use for more
            '-p', 'thread_pool_min=200', '-p', 'thread_pool_max=2000', # a thread for each connection is there before it comes
            '-p', 'thread_queue_limit=20000', '-p', 'listen_depth=4096', # and those beyond wait, instead of being cut off
            '-p', 'timeout_idle=600',
            '-p', 'nuke_limit=1000000', # a large blob may drive out as many small ones as it takes
            '-p', 'vsl_mask=' . no_log(), # as with the others
        ]);
}

1;
