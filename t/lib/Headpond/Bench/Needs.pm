# SPDX-License-Identifier: Apache-2.0
# What contrib/bench needs of the machine: for each server, and for its clients, a program or a file and the Debian package that
# has it. Loads nothing that is not in perl-base: it says what is to be installed before there is anything else.
package Headpond::Bench::Needs;
use strict;
use warnings;

our $trafficserver_modules = '/usr/lib/trafficserver/modules';

# In the order of the tables.
our @names = qw(headpond nginx-slice trafficserver varnish squid nginx-file h2o-file bare bare-sendfile bare-tls);
my %servers = (
    'nginx-slice' => { nginx => 'nginx' },
    'nginx-file' => { nginx => 'nginx' },
    trafficserver => { traffic_server => 'trafficserver', "$trafficserver_modules/slice.so" => 'trafficserver-experimental-plugins' },
    varnish => { varnishd => 'varnish', hitch => 'hitch' },
    squid => { squid => 'squid' },
    'h2o-file' => { h2o => 'h2o' },
);
# Clients, what makes a certificate and loads our modules, and what pins to a core and raises limits.
my %all = (wrk => 'wrk', h2load => 'nghttp2-client', curl => 'curl', openssl => 'openssl', json_pp => 'perl', taskset => 'util-linux', prlimit => 'util-linux');

sub there {
    my ($what) = @_;
    return $what =~ m{/} ? -e $what : grep { -x "$_/$what" } split /:/, "$ENV{PATH}:/usr/sbin:/sbin";
}

sub missing {
    my ($needs) = @_;
    my %packages = map { $needs->{$_} => 1 } grep { !there($_) } keys %$needs;
    return sort keys %packages;
}

# The packages of what is not there: whatever is measured, and for a server.
sub missing_for_all { return missing(\%all) }
sub missing_of { my ($name) = @_; return missing($servers{$name} // {}) }

# headpond-N: a headpond whose store knows N blocks besides what is asked for.
sub known { my ($name) = @_; return $name =~ /^headpond-[1-9]\d*$/ || grep { $_ eq $name } @names }

1;
