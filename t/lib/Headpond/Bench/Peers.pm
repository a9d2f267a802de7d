# SPDX-License-Identifier: Apache-2.0
# The servers that contrib/bench knows: in front of the origin headpond, nginx with slice, Traffic Server with slice, Varnish
# and Squid; of files, as a cache with nothing else to do would, nginx and h2o; and the bare loop in three kinds, which is the
# limit. Each is set up as its users would who want the most of it on one core; the comments say why.
package Headpond::Bench::Peers;
use strict;
use warnings;
use Headpond::Bench::Needs;
use Headpond::Bench::Nginx;
use Headpond::Bench::Server;
use Headpond::Bench::Squid;
use Headpond::Bench::TrafficServer;
use Headpond::Bench::Varnish;
use Headpond::Bench::World;

# name => how it starts, a function that is given the world.
my %peers = (
    'headpond' => \&headpond,
    'nginx-slice' => \&Headpond::Bench::Nginx::slice,
    'nginx-file' => \&Headpond::Bench::Nginx::file,
    'varnish' => \&Headpond::Bench::Varnish::start,
    'trafficserver' => \&Headpond::Bench::TrafficServer::start,
    'squid' => \&Headpond::Bench::Squid::start,
    'h2o-file' => \&h2o,
    'bare' => sub { bare($_[0], 'bare', 'h1') },
    'bare-sendfile' => sub { bare($_[0], 'bare-sendfile', 'h1', '--sendfile') },
    'bare-tls' => sub { bare($_[0], 'bare-tls', 'h1s', '--tls', @Headpond::tls{qw(certificate key)}) },
);

sub starter {
    my ($name) = @_;
    my ($blocks) = $name =~ /^headpond-(\d+)$/;
    return $blocks ? sub { headpond($_[0], $name, $blocks) } : $peers{$name};
}

# A server that is running and warm, or a server with `fault`: why it has no figures.
sub start {
    my ($name, $world) = @_;
    my @missing = Headpond::Bench::Needs::missing_of($name);
    return { name => $name, fault => "not installed: apt-get install @missing, or --install" } if @missing;
    my $server = eval { starter($name)->($world) };
    return { name => $name, fault => $@ =~ s/\s+$//r } if !$server;
    warm($server) if !$server->{one_file};
    $server->note_rest;
    return $server;
}

sub warm {
    my ($server) = @_;
    # Twice: what a first reply leaves behind, a second one may still have to look at.
    my $fault = Headpond::Bench::World::read_all($server->base('h1')) // Headpond::Bench::World::read_all($server->base('h1'));
    $server->{fault} = "warming failed: $fault" if $fault;
    eval { $server->{warmed}->(); 1 } or $server->{fault} //= $@ =~ s/\s+$//r if $server->{warmed};
}

# One loop, as each peer has one worker; blocks on disk, what was read lately in memory.
sub headpond {
    my ($world, $name, $blocks) = @_;
    $name //= 'headpond';
    my $dir = $world->folder_in($name);
    my $pond = Headpond->new(origin => $world->{origin}, dir => $dir,
        account => { freshness => 'immutable', authorize_ttl => '3600s' });
    my ($size, $memory) = $blocks ? make_store("$dir/store", $blocks) : ($Headpond::Bench::World::CACHE, 0);
    $memory += $Headpond::Bench::World::MEMORY;
    $pond->{config} = { workers => 1, memory => "$memory", access_log => 'off',
        # Reading ahead of damage would find nothing else where blocks are known that are not there.
        store => [{ path => "$dir/store", size => $size, $blocks ? (scrub_rate => '0') : () }] };
    my %address = Headpond::Bench::Server::addresses(qw(h1 h1s));
    $pond->{config}{listen} = [{ address => $address{h1} }, { address => $address{h1s}, %Headpond::tls }];
    $pond->{config}{admin} = $pond->{admin} = '127.0.0.1:' . Headpond::Bench::Server::free_port();
    $pond->write_config;
    my $server = Headpond::Bench::Server->start(name => $name, dir => $dir,
        address => { %address, h2c => $address{h1}, h2s => $address{h1s} },
        command => ["$Headpond::build/headpond", '-c', "$dir/headpond.yaml"],
        warmed => sub { $pond->settle; check_driven_out($pond) if $blocks });
    check_known($server, $pond, $blocks) if $blocks;
    return $server;
}

# Has a store made that knows so many blocks, which are not there (t/bench/sparse.h). What is asked for comes to lie everywhere
# among them, what is read cold behind them. What to configure: its size, and `memory` for its index.
sub make_store {
    my ($dir, $blocks) = @_;
    my $block = 1 << 20; # headpond's own choice
    my $among = int($Headpond::Bench::World::WARM / $block) + 1;
    my ($status, $out, $words) = Headpond::Process->run(
        command => ["$Headpond::build/t/bench/make_store", $dir, $blocks, $among, int($Headpond::Bench::World::CACHE / $block)]);
    return $out =~ /^size (\d+) memory (\d+)$/ if !$status;
    die 'make_store: ' . substr($words, -400) . "\n";
}

# Both die where it is not the index that was to be measured.
sub check_known {
    my ($server, $pond, $blocks) = @_;
    $server->{process}->wait_log(qr/ store-open /, 120) or die "it did not come to the end of its index\n";
    my $known = $pond->metric('headpond_store_blocks');
    $known == $blocks or die "it knows $known blocks, not $blocks\n";
}

sub check_driven_out {
    my ($pond) = @_;
    my $gone = $pond->metric('headpond_store_evictions_total');
    $gone == 0 or die "$gone blocks were driven out\n";
}

# Version 2 serves files over HTTP/2 with and without TLS. One thread; no list of its own of what has changed: files are
# opened anew, and their descriptors kept (`file.custom-handler` and the like would not make that less).
sub h2o {
    my ($world) = @_;
    my $dir = $world->folder_in('h2o');
    my %address = Headpond::Bench::Server::addresses(qw(h1 h1s));
    my %port = map { $_ => $address{$_} =~ s/.*://r } keys %address;
    my $user = $> == 0 ? "user: root\n" : ''; # no other user may read the key
    Headpond::Process::spew("$dir/h2o.conf", <<"CONF");
${user}num-threads: 1
max-connections: 16384
http1-request-timeout: 600
http2-idle-timeout: 600
listen:
  host: 127.0.0.1
  port: $port{h1}
listen:
  host: 127.0.0.1
  port: $port{h1s}
  ssl:
    certificate-file: $Headpond::tls{certificate}
    key-file: $Headpond::tls{key}
hosts:
  default:
    paths:
      /:
        file.dir: @{[ $world->files ]}
CONF
    return Headpond::Bench::Server->start(name => 'h2o-file', dir => $dir, no_proxy => 1,
        address => { %address, h2c => $address{h1}, h2s => $address{h1s} },
        command => ['h2o', '-m', 'worker', '-c', "$dir/h2o.conf"]);
}

# Knows one file, and one protocol: HTTP/1.1, with TLS or without. Writes from memory; or by sendfile, which costs the server
# less of large replies and the client more.
sub bare {
    my ($world, $name, $proto, @options) = @_;
    my $dir = $world->folder_in($name);
    my $server = Headpond::Bench::Server->start(name => $name, dir => $dir, address => {}, no_proxy => 1, one_file => 1,
        cannot => { map { $_ => 'no more than HTTP/1.1 with' . ($proto eq 'h1' ? 'out' : '') . ' TLS' } qw(h1 h1s h2c h2s) },
        command => ["$Headpond::build/t/bench/bare_loop", @options, $world->files . "/$Headpond::Bench::World::CONTAINER/big"]);
    $server->{address}{$proto} = $server->{process}->wait_log(qr/^listening (\S+)\n/, 20, "$dir/out")
        or die 'it did not start: ' . $server->last_words . "\n";
    return $server;
}

1;
