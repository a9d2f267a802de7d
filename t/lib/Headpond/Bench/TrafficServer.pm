# SPDX-License-Identifier: Apache-2.0
# Apache Traffic Server for contrib/bench, with its slice plugin: blocks of 1 MiB on disk, and in memory what was read lately.
package Headpond::Bench::TrafficServer;
use strict;
use warnings;
use Headpond::Bench::Needs;
use Headpond::Bench::Server;
use Headpond::Bench::World;

my $modules = $Headpond::Bench::Needs::trafficserver_modules;

sub start {
    my ($world) = @_;
    my $dir = $world->folder_in('trafficserver');
    my %address = Headpond::Bench::Server::addresses(qw(h1 h1s));
    my %port = map { $_ => $address{$_} =~ s/.*://r } keys %address;
    my $cache = $Headpond::Bench::World::CACHE;
    mkdir "$dir/$_" for qw(etc cache run log);
    my $user = $> == 0 ? 'CONFIG proxy.config.admin.user_id STRING #-1' : ''; # stays what it is, as its folder's owner
    Headpond::Process::spew("$dir/runroot.yaml", join '', map { "$_->[0]: $_->[1]\n" } ['prefix', $dir], ['exec_prefix', '/usr'],
        ['bindir', '/usr/bin'], ['sbindir', '/usr/sbin'], ['sysconfdir', "$dir/etc"], ['datadir', "$dir/cache"], ['includedir', '/usr/include'],
        ['libdir', '/usr/lib'], ['libexecdir', $modules], ['localstatedir', "$dir/run"], ['runtimedir', "$dir/run"],
        ['logdir', "$dir/log"], ['mandir', '/usr/share/man'], ['cachedir', "$dir/cache"]);
    Headpond::Process::spew("$dir/etc/records.config", <<"CONF");
$user
CONFIG proxy.config.crash_log_helper STRING
CONFIG proxy.config.plugin.plugin_dir STRING $modules
CONFIG proxy.config.http.server_ports STRING $port{h1}:ip-in=127.0.0.1 $port{h1s}:ip-in=127.0.0.1:ssl
# One thread does all, accepting included.
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.cache.ram_cache.size INT $Headpond::Bench::World::MEMORY
# A slice and its head must not be too large for memory.
CONFIG proxy.config.cache.ram_cache_cutoff INT 8388608
CONFIG proxy.config.cache.min_average_object_size INT 65536
# What is here stays fresh, whatever the origin says.
CONFIG proxy.config.http.cache.required_headers INT 0
CONFIG proxy.config.http.cache.heuristic_min_lifetime INT 86400
CONFIG proxy.config.http.cache.heuristic_max_lifetime INT 86400
# No log, and no headers about itself.
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.http.insert_request_via_str INT 0
CONFIG proxy.config.http.insert_response_via_str INT 0
CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT 600
# Larger pieces from the cache to the socket than 32 KiB.
CONFIG proxy.config.http.default_buffer_water_mark INT 1048576
CONFIG proxy.config.url_remap.remap_required INT 1
CONFIG proxy.config.ssl.server.cert.path STRING /
CONFIG proxy.config.ssl.server.private_key.path STRING /
CONFIG proxy.config.http2.max_requests_per_connection INT 0
CONFIG proxy.config.http2.no_activity_timeout_in INT 600
CONF
    Headpond::Process::spew("$dir/etc/storage.config", "$dir/cache $cache\n");
    Headpond::Process::spew("$dir/etc/ssl_multicert.config", "dest_ip=* ssl_cert_name=$Headpond::tls{certificate} ssl_key_name=$Headpond::tls{key}\n");
    # slice asks for blocks, and cache_range_requests keeps each as an object of its own.
    Headpond::Process::spew("$dir/etc/remap.config",
        "map / http://$world->{origin}{address}/ \@plugin=slice.so \@pparam=--blockbytes=1m \@plugin=cache_range_requests.so\n");
    Headpond::Process::spew("$dir/etc/ip_allow.yaml", "ip_allow:\n  - apply: in\n    ip_addrs: 127.0.0.1\n    action: allow\n    methods: ALL\n");
    Headpond::Process::spew("$dir/etc/$_", '') for qw(cache.config hosting.config parent.config plugin.config socks.config splitdns.config volume.config);
    Headpond::Process::spew("$dir/etc/logging.yaml", "logging: {}\n");
    Headpond::Process::spew("$dir/etc/sni.yaml", "sni: []\n");
    return Headpond::Bench::Server->start(name => 'trafficserver', dir => $dir, address => { %address, h2s => $address{h1s} },
        cannot => { h2c => 'HTTP/2 only with TLS' }, command => ['traffic_server', "--run-root=$dir/runroot.yaml"]);
}

1;
