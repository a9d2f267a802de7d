# SPDX-License-Identifier: Apache-2.0
# A listener's certificate: renewed while headpond runs, kept when what is put there does not load, and announced before it
# ends.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use POSIX ();
use Test::More;
use Time::Local qw(timegm);

my $MIB = 1 << 20;
my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
$origin->blob('/acct/data/x', size => 6 * $MIB, seed => 1);
my $dir = Headpond->folder;

# A pair in a folder of its own: tls.crt and tls.key, told apart by the serial number.
sub make_pair {
    my ($name, $serial, $days) = @_;
    mkdir "$dir/$name";
    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days $days -subj '/CN=headpond test' -set_serial $serial "
        . "-addext 'subjectAltName=IP:127.0.0.1' -keyout $dir/$name/tls.key -out $dir/$name/tls.crt 2>$dir/openssl.log") == 0 or die;
    return $name;
}

# The same, over since yesterday, which only OpenSSL's small CA can make.
sub make_ended_pair {
    my ($name, $serial) = @_;
    mkdir "$dir/$name";
    my ($before, $end) = map { POSIX::strftime('%Y%m%d%H%M%SZ', gmtime(time - $_ * 86400)) } 9, 1;
    open my $conf, '>', "$dir/ca.conf" or die;
    print $conf "[ca]\ndefault_ca = d\n[d]\ndatabase = $dir/$name/index\nserial = $dir/$name/serial\npolicy = p\ndefault_md = sha256\n"
        . "new_certs_dir = $dir/$name\n[p]\ncommonName = supplied\n";
    close $conf;
    system("cd $dir/$name && : > index && printf '%04x\\n' $serial > serial && exec 2>log && openssl req -new -newkey ec"
        . ' -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=headpond test" -keyout tls.key -out csr'
        . " && openssl ca -batch -notext -config ../ca.conf -selfsign -keyfile tls.key -in csr -startdate $before -enddate $end -out tls.crt") == 0
        or die;
    return $name;
}

# As Kubernetes mounts a secret: the files are links into ..data, and ..data a link that is replaced.
sub put {
    my ($secret, $name) = @_;
    mkdir "$dir/$secret";
    for my $file (qw(tls.crt tls.key)) {
        symlink "..data/$file", "$dir/$secret/$file" unless -l "$dir/$secret/$file";
    }
    unlink "$dir/$secret/..new";
    symlink "../$name", "$dir/$secret/..new" or die $!;
    rename "$dir/$secret/..new", "$dir/$secret/..data" or die $!;
}

sub listen_with {
    my ($secret) = @_;
    return [{ address => '127.0.0.1:0' },
        { address => '127.0.0.1:0', certificate => "$dir/$secret/tls.crt", key => "$dir/$secret/tls.key" }];
}

# The serial number that a new handshake shows.
sub shown {
    my ($pond) = @_;
    my $out = qx(openssl s_client -connect $pond->{https} </dev/null 2>/dev/null | openssl x509 -noout -serial);
    return $out =~ /serial=0*(\w+)/ ? hex $1 : 'nothing';
}

sub end_of {
    my ($name) = @_;
    my %month = map { (qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec))[$_] => $_ } 0 .. 11;
    qx(openssl x509 -in $dir/$name/tls.crt -noout -enddate) =~ /=(\w+) +(\d+) (\d+):(\d+):(\d+) (\d+)/ or die;
    return timegm($5, $4, $3, $2, $month{$1}, $6);
}

sub lines {
    my ($pond, $event) = @_;
    return grep { / $event / } split /\n/, $pond->log_text;
}

my $first = make_pair('first', 101, 30);
put(secret => $first);
my $pond = Headpond->start(origin => $origin, config => { listen => listen_with('secret') });

subtest 'as it starts' => sub {
    is(shown($pond), 101, 'the certificate is shown');
    is($pond->metric('headpond_certificate_not_after_timestamp_seconds', address => $pond->{https}), end_of($first), 'its end is a metric');
    is(scalar lines($pond, 'certificate-ends'), 0, 'nothing is said of a good one');
};

subtest 'renewed on SIGHUP' => sub {
    local $Headpond::Http::certificate = "$dir/first/tls.crt";
    my $reader = $pond->begin('/acct/data/x', proto => 'h1s', rate => '3M');
    ok(Headpond::Process::wait_until(sub { $reader->received > 0 }), 'somebody reads');
    put(secret => make_pair('second', 102, 60));
    $pond->{process}->signal('HUP');
    ok($pond->wait_log(qr/ certificate .*address=\Q$pond->{https}\E .*not_after=\d{4}-\d\d-\d\dT\S+Z: renewed/), 'the log tells');
    is(shown($pond), 102, 'a new handshake shows the new one');
    is($pond->metric('headpond_certificate_not_after_timestamp_seconds', address => $pond->{https}), end_of('second'), 'the metric has its end');
    my $reply = $reader->finish;
    is($reply->{error}, 0, 'who was connected reads on');
    ok($reply->{body} eq $origin->bytes('/acct/data/x'), 'all of it');
};

subtest 'what does not load is not taken' => sub {
    make_pair('odd', 103, 60);
    make_pair('other', 104, 60);
    rename "$dir/other/tls.key", "$dir/odd/tls.key" or die;
    put(secret => 'odd');
    $pond->{process}->signal('HUP');
    ok($pond->wait_log(qr/ certificate-refused .*tls\.key does not belong to .*stays in use/), 'the log tells why');
    is(shown($pond), 102, 'the one before is shown');
    is($pond->metric('headpond_certificate_renewals_total', result => 'refused'), 1, 'it is counted');
    is($pond->metric('headpond_certificate_not_after_timestamp_seconds', address => $pond->{https}), end_of('second'), 'the metric stays');
};

subtest 'renewed by itself' => sub {
    put(secret => make_pair('third', 105, 90));
    ok($pond->wait_log(qr/(?: renewed.*){2}/s, 30), 'without a signal');
    is(shown($pond), 105, 'a new handshake shows it');
    is($pond->metric('headpond_certificate_renewals_total', result => 'renewed'), 2, 'both are counted');
    is(scalar lines($pond, 'certificate-refused'), 1, 'what was refused was told of once');
};
$pond->stop;

subtest 'the end is announced' => sub {
    my @cases = (
        ['ending', sub { make_pair($_[0], $_[1], 3) }, qr/ warn certificate-ends .*days_left=[23]: ends soon/],
        ['ended', \&make_ended_pair, qr/ warn certificate-ends .*has ended/],
    );
    for (@cases) {
        my ($name, $make, $says) = @$_;
        put("secret-$name" => $make->($name, 106));
        my $late = Headpond->start(origin => $origin, config => { listen => listen_with("secret-$name") });
        like($late->log_text, $says, "$name: at the start");
        is(scalar lines($late, 'certificate-ends'), 1, "$name: once");
        put("secret-$name" => $make->("$name-again", 107));
        $late->{process}->signal('HUP');
        ok($late->wait_log(qr/ renewed.*certificate-ends /s), "$name: and of the next one that does");
        $late->stop;
    }
};

done_testing();
